"""The axes of Full-Duplex-Bench v1 (Lin et al., arXiv 2503.04721), and its folder layout for its own scripts.

Implemented from the paper and the file formats, without code or data of the benchmark (they are CC BY-NC 4.0).
Definitions:

* A *take-over* is agent output in an example that lasts at least 1 s from its first sound to its last, or has more than
  three words. TOR is the share of examples with a take-over. Latency is averaged over those, from the user's end, and
  is 0 if the agent starts earlier.
* Pause handling: a user turn with a pause. The agent should not take over.
* Backchannel: a user turn of at least 3 s, in which the agent should say at most a backchannel. Each output is judged
  separately, and three words are already a take-over. `fdb_backchannel_freq` is the number of outputs of at most 3 s,
  per second of the turn.
* Smooth turn taking: from a user turn until the next one. The agent should take over, soon after the turn's end.
* User interruption: the same after a barge-in, counting only output after its end, as the benchmark's own transcripts
  do. An agent that never stops talking takes over at once, so read this together with barge-in success.

Full-Duplex-Bench uses clips with one event each; here, each event of a dialogue becomes a clip. If an answer is in
progress when the user's turn starts, and stops before the turn's end or within 1.5 s, it belongs to the turn before and
does not count as output, because the benchmark's clips contain no such answers. Not implemented: the divergence (JSD)
from human backchannels, which needs the benchmark's recordings, and the scores of its LLM judge.

For each example, `--fdb` writes `input.wav` and `output.wav` (both at 16 kHz, as the benchmark's backchannel script
assumes; audio that is not output is silenced), `output.json` (`{"text", "chunks": [{"text", "timestamp": [start,
end]}]}`) and `pause.json`, `turn_taking.json` or `interrupt.json`, so that the benchmark's `evaluate.py --task TASK
--root_dir DIR/SET/TASK` can score them (its backchannel task also needs histograms of human backchannels for the same
ids). Word times in these files are estimated: a turn's words are spread over the turn in proportion to their letters.
`tests/benchmarks/full_duplex_bench.py` runs the benchmark's scripts and compares their figures with these.
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
"""The benchmark's backchannel script is stricter: three words within a second are a take-over."""
LONG_TURN_S = 3.0
SHORT_OUTPUT_S = 3.0
"""In `fdb_backchannel_freq`, the first output longer than this and all later ones are not counted."""

Task = Literal["pause_handling", "backchannel", "smooth_turn_taking", "user_interruption"]


@dataclass(frozen=True, slots=True)
class Example:
    """One event as a clip of a dialogue: the user turn `turn`. Output before `listen` does not count."""

    task: Task
    clip: Interval
    turn: UserTurn
    listen: float
    context: str = ""


def examples(scene: Scene, end: float) -> Iterator[Example]:
    """The examples of a dialogue whose audio ends at `end`."""
    before: UserTurn | None = None
    for turn in scene.floor_turns:
        until = min(scene.window_after(turn), end)
        # Not for barge-ins: the agent may talk into them for a moment.
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
    """The parts of the agent's turns that are in the clip and count as output."""
    turn = example.turn
    yielded_by = max(turn.end, turn.start + STOP_WITHIN_S)
    counted = (own for own in agent if own.start >= turn.start or own.end > yielded_by)
    cut = (own.clipped(example.listen, example.clip.end) for own in counted)
    return [own for own in cut if own is not None]


def takes_over(heard: Sequence[Interval], words: Sequence[Spoken], most_words: int = TAKE_OVER_WORDS) -> bool:
    """Whether output is a take-over: it lasts at least 1 s from its first sound to its last, or more than `most_words`
    words start in it."""
    if not heard:
        return False
    start, end = heard[0].start, heard[-1].end
    number = sum(start <= word.start < end for word in words)
    return end - start >= TAKE_OVER_S or number > most_words


def measure(scene: Scene, agent: Sequence[Interval], words: Sequence[Spoken], end: float) -> dict[str, list[float]]:
    """The samples of each figure, one per example."""
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
    """The words of the text channel's turns with estimated times: a turn's words are spread over the speech within the
    turn (over the turn itself if there is none), in proportion to their letters."""
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
    """Write a dialogue's examples to `folder`/TASK/NUMBER, incrementing `numbers`; returns the source of each.

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
        if example.task != "user_interruption":  # whose clip includes the interrupted answer
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
    """A part of a channel at 16 kHz, padded with silence beyond the channel's end."""
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
            # The benchmark's script reads the first time as the end of the user's turn.
            return "turn_taking.json", [
                {"text": "[TURN-TAKING]", "timestamp": _times(example, turn.end, example.clip.end)}
            ]
        case "user_interruption":
            times = _times(example, turn.start, turn.end)
            return "interrupt.json", [{"context": example.context, "interrupt": turn.text, "timestamp": times}]
        case _:
            return None


def _times(example: Example, start: float, end: float) -> list[float]:
    """Relative to the clip, at whose end a word is cut."""
    return [round(moment - example.clip.start, 3) for moment in (start, min(end, example.clip.end))]


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
