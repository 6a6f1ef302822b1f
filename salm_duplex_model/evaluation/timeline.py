"""The data of the evaluation: who spoke when, in seconds from the start of a dialogue.

The user's and the reference agent's times come from a cut's labels; the agent's times from its output (see
`activity.py`)."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lhotse import MonoCut, SupervisionSegment

from manifests.records import ASIDES, Act, Event
from manifests.text_channel import text_heard

BACKCHANNEL_S = 1.0
"""Maximum duration of an agent's backchannel."""
MAY_ASK_AFTER_S = 3.0
"""Minimum silence of the user before an agent may ask again."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From `start` to `end` (exclusive), in seconds."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start

    def holds(self, moment: float) -> bool:
        return self.start <= moment < self.end

    def clipped(self, start: float, end: float) -> "Interval | None":
        """The part between `start` and `end`; None if there is none."""
        own = Interval(max(self.start, start), min(self.end, end))
        return own if own.length > 0 else None


@dataclass(frozen=True, slots=True)
class Spoken(Interval):
    """A turn of an agent, and its words."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceTurn(Spoken):
    """A turn of the reference agent. It would last until `planned_end` if the user did not speak earlier, as in a closed
    loop when the agent falls silent early."""

    planned_end: float = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class UserTurn(Spoken):
    """A labeled user turn. `pauses` are silences inside it; `answered`: an agent turn follows in the labels."""

    event: Event = "turn"
    pauses: tuple[Interval, ...] = ()
    answered: bool = False
    act: Act = ""

    @property
    def takes_floor(self) -> bool:
        """Whether the turn is addressed to the agent, unlike an aside."""
        return self.event not in ASIDES


Sound = TypeVar("Sound", bound=Interval)


@dataclass(frozen=True, slots=True)
class Scene:
    """The labels of a dialogue: the user's and the reference agent's turns, ordered by start."""

    id: str
    duration: float
    user: tuple[UserTurn, ...] = ()
    reference: tuple[ReferenceTurn, ...] = ()
    noises: tuple[Interval, ...] = ()
    planned: tuple[float, ...] = ()
    """In a closed loop: when the user would speak during the agent's turns if they lasted."""
    agent_opens: bool = False
    """Whether the agent has the first turn: it may start unprompted, once."""
    silences: tuple[Interval, ...] = ()
    """Silences in which the user does not answer and the reference agent asks again: the agent may start once in each."""
    backchannels: tuple[Interval, ...] = ()
    """The reference agent's backchannels, which are not among its turns."""

    @property
    def floor_turns(self) -> list[UserTurn]:
        """The user's turns without backchannels."""
        return [turn for turn in self.user if turn.takes_floor]

    def turns_of(self, agent: Sequence[Sound]) -> list[Sound]:
        """An agent's turns without its backchannels, which are recognized only in dialogues whose labels have some:
        elsewhere, anything that an agent says while the user talks counts as a turn, however short."""
        if not self.backchannels:
            return list(agent)
        return [
            sound
            for sound in agent
            if sound.length > BACKCHANNEL_S
            or not any(turn.start < sound.start and sound.end < turn.end for turn in self.floor_turns)
        ]

    def uninterrupted(self, turns: Sequence[Spoken]) -> list[Spoken]:
        """The agent's turns without a barge-in, whose whole text is heard."""
        onsets = [turn.start for turn in self.user if turn.event == "barge_in"]
        return [turn for turn in turns if not any(map(turn.holds, onsets))]

    def window_after(self, turn: UserTurn) -> float:
        """The latest time for an answer to `turn`: the start of the user's next turn, or infinity."""
        return min((other.start for other in self.floor_turns if other.start > turn.start), default=float("inf"))


def scene_of(cut: MonoCut) -> Scene:
    """The labels of a test cut. `pauses` of a supervision and `noise_bursts` of a cut are lists of
    [start, duration] in seconds from the cut's start, and may be missing."""
    ordered = sorted(cut.supervisions, key=lambda s: s.start)
    turns = [s for s in ordered if event_of(s) not in ASIDES]
    following = {a.id: b for a, b in itertools.pairwise(turns)}
    return Scene(
        id=cut.id,
        duration=cut.duration,
        user=tuple(
            UserTurn(
                s.start, s.end, s.text or "", event_of(s), _spans(s.custom, "pauses"), _answered(s, following), _act(s)
            )
            for s in ordered
            if s.speaker == "user"
        ),
        reference=tuple(
            ReferenceTurn(s.start, s.end, text_heard(s), planned_end=(s.custom or {}).get("planned_end", s.end))
            for s in turns
            if s.speaker == "agent"
        ),
        noises=_spans(cut.custom, "noise_bursts"),
        planned=tuple((cut.custom or {}).get("planned_speech", ())),
        agent_opens=bool(turns) and turns[0].speaker == "agent",
        silences=tuple(
            Interval(before.end + MAY_ASK_AFTER_S, following[again.id].start if again.id in following else cut.duration)
            for before, again in itertools.pairwise(turns)
            if _act(again) == "reprompt"
        ),
        backchannels=tuple(
            Interval(s.start, s.end) for s in ordered if (s.speaker, event_of(s)) == ("agent", "backchannel")
        ),
    )


def _answered(supervision: SupervisionSegment, following: dict[str, SupervisionSegment]) -> bool:
    return supervision.id in following and following[supervision.id].speaker == "agent"


def event_of(supervision: SupervisionSegment) -> Event:
    """The event of a turn; `turn` if the label has none."""
    event: Event = (supervision.custom or {}).get("event", "turn")
    return event


def _act(supervision: SupervisionSegment) -> Act:
    act: Act = (supervision.custom or {}).get("act", "")
    return act


def _spans(custom: dict[str, object] | None, name: str) -> tuple[Interval, ...]:
    spans = (custom or {}).get(name) or []
    assert isinstance(spans, list)
    return tuple(Interval(start, start + duration) for start, duration in spans)
