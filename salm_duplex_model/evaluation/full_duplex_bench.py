"""The axes of Full-Duplex-Bench v1 (Lin et al., arXiv 2503.04721), and its folder layout for its own scripts.

Written anew from the paper and the file formats; no code or data of the benchmark is in it (they are CC BY-NC 4.0). Followed:

* A *take-over* is agent output in an example that lasts 1 s or more from its first sound to its last, or has more than three
  words. TOR is the share of examples with one; latency is taken over those, from the user's end, and 0 where the agent is
  earlier.
* Pause handling: a turn of the user with a pause; the agent should not take over in it.
* Backchannel: a long turn of the user (here 3 s and more) in which the agent may say no more than a backchannel. Each output is judged by
  itself, and takes over with three words already. `fdb_backchannel_freq` counts all outputs of at most 3 s, per second of the turn.
* Smooth turn taking: from a turn of the user on until the next; the agent should take over, and soon after the turn's end.
* User interruption: the same after a barge-in, looking only at output after its end, as the benchmark's own transcripts do. An
  agent that never stopped talking takes over at once: read it beside barge-in success.

Full-Duplex-Bench measures clips with one event each; here each event of a dialogue makes one. What was under way when the
user's turn began and gave way, until the turn's end or within 1.5 s, is the answer before and no output: its clips have none. Not here: the divergence (JSD) from people's backchannels, which
needs its recordings, and its LLM's marks.

`--fdb` writes for each example `input.wav` and `output.wav` (16 kHz both, as its backchannel script assumes; what is no output
is silenced), `output.json` (`{"text", "chunks": [{"text", "timestamp": [start, end]}]}`) and `pause.json`, `turn_taking.json` or
`interrupt.json`, so that `evaluate.py --task TASK --root_dir DIR/SET/TASK` of the benchmark can score them (its backchannel
task also wants people's histograms for the same ids). Word times there are estimated: a turn's words spread over it, by their
letters. `tests/benchmarks/full_duplex_bench.py` runs its scripts and puts their figures beside these.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import soxr

from manifests.frames import SOURCE_RATE, TARGET_RATE
from salm_duplex_model.evaluation.metrics import STOP_WITHIN_S
from salm_duplex_model.evaluation.timeline import Interval, Scene, Spoken, UserTurn

TAKE_OVER_S = 1.0
TAKE_OVER_WORDS = 3
BACKCHANNEL_WORDS = 2
"""The backchannel script is stricter: within a second three words take over."""
LONG_TURN_S = 3.0
SHORT_OUTPUT_S = 3.0
"""Outputs longer than this are not counted in `fdb_backchannel_freq`, nor anything after the first of them."""

Task = Literal["pause_handling", "backchannel", "smooth_turn_taking", "user_interruption"]


@dataclass(frozen=True, slots=True)
class Example:
    """One event as a clip of a dialogue: `turn` is what the task is about, output before `listen` does not count."""

    task: Task
    clip: Interval
    turn: UserTurn
    listen: float
    context: str = ""


def examples(scene: Scene, end: float) -> Iterator[Example]:
    """The examples of a dialogue that was played until `end`."""
    before: UserTurn | None = None
    for turn in scene.floor_turns:
        until = min(scene.window_after(turn), end)
        # Into a barge-in the agent still talks for a moment, as it may.
        if turn.event == "turn" and turn.pauses:
            yield Example("pause_handling", Interval(turn.start, turn.end), turn, turn.start)
        elif turn.event == "turn" and turn.length >= LONG_TURN_S:
            yield Example("backchannel", Interval(turn.start, turn.end), turn, turn.start)
        if turn.answered and until > turn.end:
            if turn.event == "turn":
                yield Example("smooth_turn_taking", Interval(turn.start, until), turn, turn.start)
            elif before is not None:
                clip = Interval(before.start, until)
                yield Example("user_interruption", clip, turn, turn.end, before.text)
        before = turn


def outputs(example: Example, agent: Sequence[Interval]) -> list[Interval]:
    """The agent's turns as far as they are heard in the clip and count."""
    turn = example.turn
    given_way = max(turn.end, turn.start + STOP_WITHIN_S)
    counted = (own for own in agent if own.start >= turn.start or own.end > given_way)
    cut = (own.clipped(example.listen, example.clip.end) for own in counted)
    return [own for own in cut if own is not None]


def takes_over(heard: Sequence[Interval], words: Sequence[Spoken], most_words: int = TAKE_OVER_WORDS) -> bool:
    """Whether output is a take-over: 1 s from its first sound to its last, or more words starting in it than `most_words`."""
    if not heard:
        return False
    start, end = heard[0].start, heard[-1].end
    number = sum(start <= word.start < end for word in words)
    return end - start >= TAKE_OVER_S or number > most_words


def measure(scene: Scene, agent: Sequence[Interval], words: Sequence[Spoken], end: float) -> dict[str, list[float]]:
    """Samples of each figure, one per example."""
    samples: dict[str, list[float]] = {name: [] for name in FIGURES}
    for example in examples(scene, end):
        heard = outputs(example, agent)
        name = FIGURE_OF[example.task]
        if example.task == "backchannel":
            taken = any(takes_over([turn], words, BACKCHANNEL_WORDS) for turn in heard)
            short = sum(1 for _ in takewhile(lambda turn: turn.length <= SHORT_OUTPUT_S, heard))
            samples["fdb_backchannel_freq"].append(short / example.turn.length)
        else:
            taken = takes_over(heard, words)
        samples[f"{name}_tor"].append(float(taken))
        if taken and example.task in ("smooth_turn_taking", "user_interruption"):
            samples[f"{name}_latency_s"].append(max(0.0, heard[0].start - example.turn.end))
    return samples


FIGURE_OF: dict[Task, str] = {
    "pause_handling": "fdb_pause",
    "backchannel": "fdb_backchannel",
    "smooth_turn_taking": "fdb_turn",
    "user_interruption": "fdb_interruption",
}
FIGURES = (
    "fdb_pause_tor",
    "fdb_backchannel_tor",
    "fdb_backchannel_freq",
    "fdb_turn_tor",
    "fdb_turn_latency_s",
    "fdb_interruption_tor",
    "fdb_interruption_latency_s",
)


def timed_words(turns: Sequence[Spoken], speech: Sequence[Interval]) -> list[Spoken]:
    """The words of the text channel's turns with estimated times: spread over the part of the audio that each turn covers
    (over the turn itself where there is none), a word taking as long as it has letters."""
    words = []
    for turn in turns:
        parts = [part for own in speech if (part := own.clipped(turn.start, turn.end)) is not None]
        start, end = (parts[0].start, parts[-1].end) if parts else (turn.start, turn.end)
        own_words = turn.text.split()
        edges = start + (end - start) * np.cumsum([0, *map(len, own_words)]) / max(1, sum(map(len, own_words)))
        words += [Spoken(float(a), float(b), w) for w, a, b in zip(own_words, edges[:-1], edges[1:], strict=True)]
    return words


def write_examples(
    folder: Path,
    scene: Scene,
    user: np.ndarray,
    agent: np.ndarray,
    speech: Sequence[Interval],
    words: Sequence[Spoken],
    numbers: dict[str, int],
) -> list[dict[str, object]]:
    """Write a dialogue's examples to `folder`/TASK/NUMBER, counting on in `numbers`; returns where each is from.

    `user` is float (samples,) at 16 kHz, `agent` at 22 050 Hz; `speech` and `words` are the agent's.
    """
    written: list[dict[str, object]] = []
    resampled = soxr.resample(agent, TARGET_RATE, SOURCE_RATE)
    for example in examples(scene, len(agent) / TARGET_RATE):
        numbers[example.task] = number = numbers.get(example.task, 0) + 1
        place = folder / example.task / str(number)
        place.mkdir(parents=True, exist_ok=True)
        heard = outputs(example, speech)
        output = _clip(resampled, example.clip)
        if example.task != "user_interruption":  # there the answer that is interrupted belongs to the clip
            output[: round((heard[0].start - example.clip.start) * SOURCE_RATE) if heard else len(output)] = 0
        for name, samples in (("input", _clip(user, example.clip)), ("output", output)):
            soundfile.write(place / f"{name}.wav", samples, SOURCE_RATE, subtype="PCM_16")
        _write(place / "output.json", _output(example, heard, words))
        if (event := _event(example)) is not None:
            _write(place / event[0], event[1])
        source = {"dialogue": scene.id, "start_s": example.clip.start, "end_s": example.clip.end}
        written.append({"task": example.task, "number": number, **source})
    return written


def _clip(samples: np.ndarray, clip: Interval) -> np.ndarray:
    """A stretch of a channel at 16 kHz, with silence where the channel has ended."""
    first, last = round(clip.start * SOURCE_RATE), round(clip.end * SOURCE_RATE)
    part = samples[first:last]
    return np.pad(part, (0, last - first - len(part)))


def _output(example: Example, heard: Sequence[Interval], words: Sequence[Spoken]) -> dict[str, object]:
    own = [word for word in words if any(turn.holds(word.start) for turn in heard)]
    chunks = [{"text": word.text, "timestamp": _times(example, word.start, word.end)} for word in own]
    return {"text": " ".join(word.text for word in own), "chunks": chunks}


def _event(example: Example) -> tuple[str, list[dict[str, Any]]] | None:
    turn = example.turn
    match example.task:
        case "pause_handling":
            pauses = [{"text": "[PAUSE]", "timestamp": _times(example, p.start, p.end)} for p in turn.pauses]
            return "pause.json", pauses
        case "smooth_turn_taking":
            # The benchmark's script reads the first of the two as the end of the user's turn.
            return "turn_taking.json", [
                {"text": "[TURN-TAKING]", "timestamp": _times(example, turn.end, example.clip.end)}
            ]
        case "user_interruption":
            times = _times(example, turn.start, turn.end)
            return "interrupt.json", [{"context": example.context, "interrupt": turn.text, "timestamp": times}]
        case _:
            return None


def _times(example: Example, start: float, end: float) -> list[float]:
    return [round(start - example.clip.start, 3), round(end - example.clip.start, 3)]


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
