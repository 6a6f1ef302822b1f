"""How well `verify` works: turn edges on clean speech, good dialogues kept, damaged dialogues caught.

    python tests/benchmarks/verify_catches.py [DIALOGUES] [DAMAGED] [--words N]

Renders the bundled dialogues repeatedly, with different voices and timing, until there are DIALOGUES (500), with
barge-ins, pauses and backchannels, clean and with noise. The voices are eSpeak NG voices that are not in
pipeline/data/voice_activity.yaml. DAMAGED of them (200) are then shifted, swapped, muted or clipped by random amounts.
With --words N, flite (Debian's `flite`) speaks N dialogues as written and N with the words of one turn in place of
another's, and pocketsphinx recognizes them, which takes about a second per second of speech."""

import argparse
import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import soxr

from manifests.records import Dialogue, DuplexDialogue, Rejected, Speech, SpokenDialogue
from pipeline.codec import BUNDLED_DIALOGUES
from pipeline.recipe import recipe_from
from pipeline.vad import BUNDLED_RECIPE, rendered
from stages.ears.vad import VoiceActivity
from stages.ingest import ingest
from stages.verify import Verify, VerifySettings
from stages.voices.espeak_engine import voices
from stages.voices.flite import Flite
from stages.voices.flite_engine import FliteVoice
from stages.voices.word_times import words_from_starts

WITHIN_S = 0.08
Damage = Callable[[DuplexDialogue, random.Random], DuplexDialogue]


def unseen_voices() -> list[str]:
    """eSpeak NG voices with variants that the bundled model was not trained on."""
    seen = BUNDLED_RECIPE.read_text("utf-8")
    return [voice for voice in voices() if f"+{voice.split('+')[1].split('?')[0]}?" not in seen]


def shifted(record: DuplexDialogue, draw: random.Random) -> DuplexDialogue:
    """Shift one channel by 0.2 to 2 s, later or earlier."""
    by = draw.choice([-1, 1]) * draw.uniform(0.2, 2)
    if draw.random() < 0.5:
        return replace(record, user=np.roll(record.user, round(by * 16_000)))
    return replace(record, agent=np.roll(record.agent, round(by * 22_050)))


def swapped(record: DuplexDialogue, draw: random.Random) -> DuplexDialogue:
    """Swap the channels."""
    user = soxr.resample(record.agent.astype(np.float32), 22_050, 16_000)
    agent = soxr.resample(record.user.astype(np.float32), 16_000, 22_050)
    return replace(record, user=_int16(user), agent=_int16(agent))


def muted(record: DuplexDialogue, draw: random.Random) -> DuplexDialogue:
    """Silence a turn, completely or from a point in its first half."""
    turn = draw.choice([s for s in record.timeline.segments if s.event != "backchannel"])
    own = (record.user if turn.speaker == "user" else record.agent).copy()
    own[turn.start + round(draw.choice([0, draw.uniform(0, 0.5)]) * turn.length) : turn.end] = 0
    return replace(record, user=own) if turn.speaker == "user" else replace(record, agent=own)


def clipped(record: DuplexDialogue, draw: random.Random) -> DuplexDialogue:
    """Make one channel 4 to 18 dB too loud."""
    speaker = draw.choice(["user", "agent"])
    own = getattr(record, speaker).astype(np.float32)
    return replace(record, **{speaker: _int16(own * 32767 / np.abs(own).max() * 10 ** (draw.uniform(4, 18) / 20))})


def _int16(samples: np.ndarray) -> np.ndarray:
    return np.rint(samples).clip(-32768, 32767).astype(np.int16)


DAMAGES: dict[str, Damage] = {"shifted": shifted, "swapped": swapped, "muted": muted, "clipped": clipped}


def perform(number: int, noise: bool) -> list[DuplexDialogue]:
    """Rendered dialogues in unseen voices."""
    own = len(BUNDLED_DIALOGUES.read_text("utf-8").splitlines())
    recipe = recipe_from(
        {
            "seed": 1 + noise,
            "ingest": {"takes": -(-number // own)},
            "speak": {"backchannel": {"share": 0.5}},
            "cast": {"user_voices": unseen_voices()},
            "schedule": {"pause": {"share": 0.5}},
            "render": {"noise": {"share": float(noise), "bursts_a_minute": 6}},
        }
    )
    return rendered([str(BUNDLED_DIALOGUES)], recipe)[:number]


class Cached:
    """A voice activity model that runs only once per channel."""

    def __init__(self, model: VoiceActivity) -> None:
        self._model, self._heard = model, {}

    def speech(self, samples: np.ndarray, rate: int) -> list[tuple[float, float]]:
        key = hashlib.sha256(samples.tobytes()).digest()
        if key not in self._heard:
            self._heard[key] = self._model.speech(samples, rate)
        return self._heard[key]


def edges(stage: Verify, records: list[DuplexDialogue]) -> np.ndarray:
    """The distance of each detected edge from its label, including dropped dialogues, so that no threshold affects it."""
    lenient = Verify(VerifySettings(vad="bundled", clipped=1, heard=0, extra_s=1e9, edges_off=0.999), 0)
    lenient.vad, lenient.settings = stage.vad, lenient.settings.model_copy(update={"edge_frames": 1e9})
    return np.concatenate([record.checks.edge_errors_s for record in lenient.process(records)])


def good(name: str, stage: Verify, records: list[DuplexDialogue]) -> None:
    errors = np.abs(edges(stage, records))
    dropped = [result for result in stage.process(records) if isinstance(result, Rejected)]
    print(
        f"{name}: {np.mean(errors <= WITHIN_S):.2%} of {len(errors)} edges within one frame (median {np.median(errors):.3f} s, "
        f"99 %: {np.quantile(errors, 0.99):.3f} s); {len(dropped)} of {len(records)} dialogues dropped"
    )
    kept = [result.checks for result in stage.process(records) if not isinstance(result, Rejected)]
    print(
        f"  of the others: least heard of a turn {min(one.least_heard for one in kept):.0%}, longest extra speech "
        f"{max(one.extra_s for one in kept):.2f} s"
    )
    for result in dropped[:10]:
        print(f"  {result.id}: {result.reason}: {result.message}")


def caught(stage: Verify, records: list[DuplexDialogue]) -> None:
    reasons: dict[str, Counter[str]] = {name: Counter() for name in DAMAGES}
    for record, name in zip(records, itertools.cycle(DAMAGES)):
        (result,) = stage.process([DAMAGES[name](record, random.Random(record.dialogue.id))])
        reasons[name][result.reason if isinstance(result, Rejected) else "kept"] += 1
    for name, found in reasons.items():
        print(f"{name}: {found.total() - found['kept']} of {found.total()} caught ({dict(found)})")


def labeled(text: str, samples: np.ndarray, rate: int) -> Speech:
    """Audio labeled with other words, whose times are spread evenly."""
    return Speech(samples, rate, tuple(words_from_starts(text.split(), {}, samples)), "estimated")


def words(number: int) -> None:
    """Right and wrong text, recognized by pocketsphinx."""
    recipe = recipe_from({"schedule": {"barge_in": {"share": 0}}})
    read = ingest([str(BUNDLED_DIALOGUES)], recipe.ingest, recipe.seed)
    records: list = [r for r in read if isinstance(r, Dialogue)][: 2 * number]
    records = [r for r in recipe.stage("speak").make(0).process(records) if not isinstance(r, Rejected)]
    engine, voice = Flite(), {"user": FliteVoice("awb"), "agent": FliteVoice("slt")}
    spoken = []
    for n, dialogue in enumerate(records):
        texts = [turn.spoken for turn in dialogue.turns]
        said = texts if n % 2 == 0 else [texts[1], texts[0], *texts[2:]]
        speech = [engine.speak(text, voice[turn.speaker]) for text, turn in zip(said, dialogue.turns, strict=True)]
        if n % 2:  # the label's words on the other words' audio
            speech[:2] = [labeled(texts[i], speech[i].samples, speech[i].rate) for i in (0, 1)]
        spoken.append(SpokenDialogue(dialogue, tuple(speech)))
    timelines = recipe.stage("schedule").make(0).process(spoken)
    results = Verify(VerifySettings(recognizer="pocketsphinx"), 0)
    results.setup()
    found = results.process(recipe.stage("render").make(0).process(timelines))
    right, wrong = found[::2], found[1::2]
    print(f"right words: {sum(isinstance(r, Rejected) for r in right)} of {len(right)} dropped")
    print(f"wrong words: {sum(isinstance(r, Rejected) for r in wrong)} of {len(wrong)} caught")
    for result in right:
        if isinstance(result, Rejected):
            print(f"  {result.id}: {result.message}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dialogues", type=int, nargs="?", default=500)
    parser.add_argument("damaged", type=int, nargs="?", default=200)
    parser.add_argument("--words", type=int, default=0)
    arguments = parser.parse_args()
    stage = Verify(VerifySettings(vad="bundled"), 0)
    stage.setup()
    stage.vad = Cached(stage.vad)
    clean = perform(arguments.dialogues, noise=False)
    good("clean", stage, clean)
    good("noisy", stage, perform(arguments.dialogues // 5, noise=True))
    caught(stage, clean[: arguments.damaged])
    if arguments.words:
        words(arguments.words)


if __name__ == "__main__":
    main()
