"""Schedule and render dialogues with a timing profile and measure the result: target and actual, by labels and by
audio.

    PYTHONPATH=. python tests/benchmarks/profile_round_trip.py INPUT... [--profile meeting] [--limit 2000] [--set
    KEY=VALUE ...]

Runs the stages up to `render` in this process. By default, both speakers overlap and pause, backchannels come at the
profile's rate, and there are no barge-ins, since a profile of human dialogues has none.

"labels" are the segments, split at inserted pauses, as read by `salm-duplex profile fit CORPUS`. "sound" are the same
segments, from the first to the last audible 10 ms of the rendered audio (within 40 dB of the loudest). Silences that a
voice makes by itself, at commas and between sentences, count as pauses in neither; the last line has their number."""

import argparse
from collections.abc import Iterator

import numpy as np

from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.records import Dialogue, DuplexDialogue, Rejected
from pipeline.recipe import load_recipe
from stages.ingest import ingest
from stages.timing.measure import Timing, Utterance
from stages.timing.profile import load_profile
from stages.timing.sources import of_timeline

STAGES = ("speak", "cast", "synthesize", "schedule", "render")
BATCH = 50
WINDOW_S = 0.01
HEARD_DB = -40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--profile", default="meeting")
    parser.add_argument("--limit", type=int, default=2_000)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    given = parser.parse_args()
    wanted = load_profile(given.profile)
    fixed = [
        f"schedule.profile={given.profile}",
        "schedule.agent_overlaps=true",
        "schedule.agent_pauses=true",
        "schedule.barge_in.share=0",
        f"speak.backchannel.per_minute={wanted.contained_per_minute}",
    ]
    recipe = load_recipe(None, [*fixed, *given.overrides])
    chain = [recipe.stage(name).make(recipe.seed) for name in STAGES]
    dialogues = [d for d in ingest(given.inputs, recipe.ingest, recipe.seed, given.limit) if isinstance(d, Dialogue)]
    labels, sound, kept, own = Timing(), Timing(), 0, []
    for first in range(0, len(dialogues), BATCH):
        records: list = dialogues[first : first + BATCH]
        for stage in chain:
            records = [record for record in stage.process(records) if not isinstance(record, Rejected)]
        for record in records:
            utterances = of_timeline(record.timeline)
            heard = list(_heard(utterances, record))
            labels.add(utterances, wanted.merge_s)
            sound.add([one for one, _ in heard], wanted.merge_s)
            own += [silence for _, silences in heard for silence in silences if silence >= 0.2]
        kept += len(records)
    found = [timing.profile("", wanted.merge_s) for timing in (labels, sound)]
    print(f"{given.profile}: {kept} dialogues{found[0].about.partition('recordings')[2]}")
    print(f"{'':22} {'target':>21} {'labels':>21}   {'÷ target':14} {'sound':>21}   ÷ target")
    for name in ("gap_s", "overlap_s", "pause_s"):
        _row(name, *([getattr(one, name)[at] for at in (5, 10, 15)] for one in (wanted, *found)))
    for name in ("overlap_share", "contained_per_minute", "pauses_per_minute"):
        _row(name, *([getattr(one, name)] for one in (wanted, *found)))
    print(
        f"{60 * len(own) / labels.speech_s:.1f} silences of 0.2 s or more a minute of speech are the voices' own; quartiles "
        + " ".join(f"{value:.2f}" for value in np.quantile(own, [0.25, 0.5, 0.75]))
    )


def _row(name: str, target: list[float], *actual: list[float]) -> None:
    parts = [f"{name:22} {_numbers(target, '7.3f'):>21}"]
    for values in actual:
        ratios = [value / wanted for value, wanted in zip(values, target, strict=True)]
        parts.append(f"{_numbers(values, '7.3f'):>21}   {_numbers(ratios, '.2f'):14}")
    print(" ".join(parts).rstrip())


def _numbers(values: list[float], form: str) -> str:
    return " ".join(format(value, form) for value in values)


def _heard(utterances: list[Utterance], record: DuplexDialogue) -> Iterator[tuple[Utterance, list[float]]]:
    """Each utterance as found in the audio, and the silences within it, in seconds."""
    for one in utterances:
        samples, rate = (record.user, SOURCE_RATE) if one.speaker == "user" else (record.agent, TARGET_RATE)
        window = round(WINDOW_S * rate)
        own = samples[round(one.start * rate) : round(one.end * rate)].astype(float)
        power = np.square(own[: len(own) // window * window]).reshape(-1, window).mean(axis=1)
        loud = np.flatnonzero(power > power.max() * 10 ** (HEARD_DB / 10))
        start, end = one.start + loud[0] * WINDOW_S, one.start + (loud[-1] + 1) * WINDOW_S
        yield Utterance(start, end, one.speaker), list((np.diff(loud) - 1) * WINDOW_S)


if __name__ == "__main__":
    main()
