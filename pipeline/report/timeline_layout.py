"""The layout of a dialogue's two channels on one time axis, in pixels: waveforms, turns, words, barge-ins."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from lhotse import MonoCut, SupervisionSegment

from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.records import ASIDES
from manifests.text_channel import text_heard

PIXELS_PER_SECOND = 90
CHARACTER = 6.7
"""Width of one character of a label, in pixels: an 11 px monospaced font needs 6.6."""
ROW, LANE, MARGIN = 14, 56, 6
"""Heights in pixels: a row of labels, a channel's lane, and the margin between them."""


@dataclass(frozen=True, slots=True)
class Label:
    """Text that starts at `x` on the baseline `y`; its box, `width` wide and a row high, does not overlap others."""

    x: float
    y: float
    text: str

    @property
    def width(self) -> float:
        return CHARACTER * len(self.text)


@dataclass(frozen=True, slots=True)
class Lane:
    """One channel: `turns` as (x, width, text), `pauses` as (x, width), `low` and `high` as the extreme samples of each
    pixel column, from −1 to 1."""

    speaker: str
    top: float
    turns: tuple[tuple[float, float, str], ...]
    pauses: tuple[tuple[float, float], ...]
    words: tuple[Label, ...]
    low: np.ndarray
    high: np.ndarray

    @property
    def middle(self) -> float:
        return self.top + LANE / 2

    @property
    def strokes(self) -> tuple[np.ndarray, np.ndarray]:
        """The top and the bottom of the waveform in each pixel column."""
        reach = LANE / 2 - 3
        return self.middle - self.high * reach, self.middle - self.low * reach


@dataclass(frozen=True, slots=True)
class CutOff:
    """A barge-in: from the user's `onset` to the agent's `silence`, in pixels."""

    onset: float
    silence: float
    label: Label


@dataclass(frozen=True, slots=True)
class Layout:
    """A dialogue's layout in pixels, with y downwards; the time axis ends at `end`, labels may extend to `width`."""

    end: float
    width: float
    height: float
    user: Lane
    agent: Lane
    cut_offs: tuple[CutOff, ...]
    marks: tuple[Label, ...]
    """Other events, by name."""

    @property
    def lanes(self) -> tuple[Lane, Lane]:
        return self.user, self.agent

    @property
    def bottom(self) -> float:
        return self.agent.top + LANE


def barge_ins(supervisions: Sequence[SupervisionSegment]) -> Iterator[tuple[SupervisionSegment, SupervisionSegment]]:
    """Each interrupted agent turn, with the user's barge-in."""
    turns = [s for s in supervisions if s.custom["event"] not in ASIDES]
    for before, after in itertools.pairwise(turns):
        if after.custom["event"] == "barge_in":
            yield before, after


def lay_out(cut: MonoCut) -> Layout:
    """Lay out a cut: the user's words above the user's lane, the agent's below the agent's lane, events between them."""
    user_words, agent_words = (place_labels(_words(cut, speaker)) for speaker in ("user", "agent"))
    events = list(barge_ins(cut.supervisions))
    interrupting = [
        (x_of(user.start) + 4, f"{mark_of(user)}, silent after {agent.end - user.start:.2f} s")
        for agent, user in events
    ]
    other = [(x_of(s.start) + 4, MARKS[_kind(s)]) for s in cut.supervisions if MARKS[_kind(s)]]
    covered = {x for x, _ in interrupting}
    other = [(x, text) for x, text in other if x not in covered]
    between = place_labels(sorted(interrupting + other))
    user_top = ROW * _rows(user_words) + MARGIN
    agent_top = user_top + LANE + ROW * _rows(between) + 2 * MARGIN
    bottom = agent_top + LANE
    # Baselines: the user's rows stack upwards from the lane, all others downwards.
    user_labels = tuple(Label(x, user_top - MARGIN - ROW * row, text) for row, x, text in user_words)
    agent_labels = tuple(Label(x, bottom + ROW * (row + 1), text) for row, x, text in agent_words)
    event_labels = [Label(x, user_top + LANE + ROW * (row + 1), text) for row, x, text in between]
    label_at = {label.x: label for label in event_labels}
    end = x_of(cut.duration)
    return Layout(
        end=end,
        width=max([end, *(label.x + label.width for label in (*user_labels, *agent_labels, *event_labels))]) + MARGIN,
        height=bottom + ROW * _rows(agent_words) + MARGIN,
        user=_lane(cut, "user", cut.load_audio()[0], SOURCE_RATE, user_top, user_labels),
        agent=_lane(cut, "agent", cut.load_target_audio()[0], TARGET_RATE, agent_top, agent_labels),
        cut_offs=tuple(
            CutOff(x_of(user.start), x_of(agent.end), label_at[x_of(user.start) + 4]) for agent, user in events
        ),
        marks=tuple(label for label in event_labels if label.x not in covered),
    )


MARKS = {
    "turn": "",
    "barge_in": "barge-in",
    "backchannel": "backchannel",
    "false_start": "false start",
    "side_talk": "side talk",
    "wait": "wait",
    "stop": "stop",
    "go_on": "go on",
    "resume": "resumes",
    "reprompt": "asks again",
}
"""Names of events and acts."""


def mark_of(s: SupervisionSegment) -> str:
    """A label for a turn that is an event, an act or an edit of the written text; otherwise empty."""
    return MARKS[_kind(s)] or str(s.custom.get("edit", ""))


def _kind(s: SupervisionSegment) -> str:
    return str(s.custom.get("act", s.custom["event"]))


def place_labels(labels: Sequence[tuple[float, str]]) -> list[tuple[int, float, str]]:
    """(row, x, text) for each (x, text), in order of x: each in the first row where it overlaps no earlier label."""
    ends: list[float] = []
    placed = []
    for x, text in labels:
        row = next((number for number, end in enumerate(ends) if end <= x), len(ends))
        ends[row : row + 1] = [x + CHARACTER * (len(text) + 0.6)]
        placed.append((row, x, text))
    return placed


def envelope(audio: np.ndarray, rate: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest sample of each pixel column."""
    columns = max(1, int(seconds * PIXELS_PER_SECOND))
    # Each column's first sample is computed from its own time, so that columns never drift from the labels.
    starts = np.minimum(np.arange(columns) * rate // PIXELS_PER_SECOND, len(audio) - 1)
    return np.minimum.reduceat(audio, starts), np.maximum.reduceat(audio, starts)


def _words(cut: MonoCut, speaker: str) -> list[tuple[float, str]]:
    own = [s for s in cut.supervisions if s.speaker == speaker]
    return [(x_of(word.start), word.symbol) for s in own for word in (s.alignment or {}).get("word", [])]


def _rows(placed: list[tuple[int, float, str]]) -> int:
    return 1 + max((row for row, _, _ in placed), default=0)


def _lane(cut: MonoCut, speaker: str, audio: np.ndarray, rate: int, top: float, words: tuple[Label, ...]) -> Lane:
    low, high = envelope(audio, rate, cut.duration)
    loudest = max(float(-low.min()), float(high.max()), 1e-6)
    turns = tuple((x_of(s.start), x_of(s.duration), text_heard(s)) for s in cut.supervisions if s.speaker == speaker)
    pauses = tuple(
        (x_of(start), x_of(length))
        for s in cut.supervisions
        if s.speaker == speaker
        for start, length in s.custom.get("pauses", ())
    )
    return Lane(speaker, top, turns, pauses, words, low / loudest, high / loudest)


def x_of(seconds: float) -> float:
    return round(seconds * PIXELS_PER_SECOND, 1)
