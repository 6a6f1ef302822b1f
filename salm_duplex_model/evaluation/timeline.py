"""The nouns of the evaluation: who spoke when, in seconds from the start of a dialogue.

The user's times and the reference agent's come from a cut's labels; the agent's from what it played (see `activity.py`).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from lhotse import MonoCut, SupervisionSegment

from manifests.records import ASIDES, Event
from manifests.text_channel import text_heard


@dataclass(frozen=True, slots=True)
class Interval:
    """From `start` up to, not including, `end`, in seconds."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start

    def holds(self, moment: float) -> bool:
        return self.start <= moment < self.end

    def clipped(self, start: float, end: float) -> "Interval | None":
        """What of it lies between `start` and `end`; None where nothing does."""
        own = Interval(max(self.start, start), min(self.end, end))
        return own if own.length > 0 else None


@dataclass(frozen=True, slots=True)
class Spoken(Interval):
    """A turn of an agent, and its words."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class UserTurn(Spoken):
    """A labelled turn of the user. `pauses` are silences inside it; `answered`: an agent's turn comes next in the labels."""

    event: Event = "turn"
    pauses: tuple[Interval, ...] = ()
    answered: bool = False

    @property
    def takes_floor(self) -> bool:
        """Whether the user wants to be listened to: an aside is none of that."""
        return self.event not in ASIDES


@dataclass(frozen=True, slots=True)
class Scene:
    """What the labels say of a dialogue: the user's turns and the reference agent's, ordered by start."""

    id: str
    duration: float
    user: tuple[UserTurn, ...] = ()
    reference: tuple[Spoken, ...] = ()
    noises: tuple[Interval, ...] = ()
    agent_opens: bool = False
    """The first turn of the dialogue is the agent's: it may start unasked, once."""

    @property
    def floor_turns(self) -> list[UserTurn]:
        """The user's turns without backchannels."""
        return [turn for turn in self.user if turn.takes_floor]

    def uninterrupted(self, turns: Sequence[Spoken]) -> list[Spoken]:
        """Of an agent's turns those that the user does not barge into: all of their text is meant to be heard."""
        onsets = [turn.start for turn in self.user if turn.event == "barge_in"]
        return [turn for turn in turns if not any(map(turn.holds, onsets))]

    def window_after(self, turn: UserTurn) -> float:
        """Until when an answer to `turn` may come: the start of the user's next turn, or the end of time."""
        return min((other.start for other in self.floor_turns if other.start > turn.start), default=float("inf"))


def scene_of(cut: MonoCut) -> Scene:
    """The labels of a test cut (DESIGN, §6). `pauses` of a supervision and `noise_bursts` of a cut are lists of
    [start, duration] in seconds from the cut's start, and may be missing."""
    ordered = sorted(cut.supervisions, key=lambda s: s.start)
    turns = [s for s in ordered if _event(s) not in ASIDES]
    following = {a.id: b for a, b in itertools.pairwise(turns)}
    return Scene(
        id=cut.id,
        duration=cut.duration,
        user=tuple(
            UserTurn(s.start, s.end, s.text or "", _event(s), _spans(s.custom, "pauses"), _answered(s, following))
            for s in ordered
            if s.speaker == "user"
        ),
        reference=tuple(Spoken(s.start, s.end, text_heard(s)) for s in ordered if s.speaker == "agent"),
        noises=_spans(cut.custom, "noise_bursts"),
        agent_opens=bool(turns) and turns[0].speaker == "agent",
    )


def _answered(supervision: SupervisionSegment, following: dict[str, SupervisionSegment]) -> bool:
    return supervision.id in following and following[supervision.id].speaker == "agent"


def _event(supervision: SupervisionSegment) -> Event:
    event: Event = (supervision.custom or {}).get("event", "turn")
    return event


def _spans(custom: dict[str, object] | None, name: str) -> tuple[Interval, ...]:
    spans = (custom or {}).get(name) or []
    assert isinstance(spans, list)
    return tuple(Interval(start, start + duration) for start, duration in spans)
