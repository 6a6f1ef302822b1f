"""What a director sees of a dialogue, what it may write into it, and within which bounds.

It sees the turns that take the floor, numbered from 1, each as the words that will be spoken. It writes a
`Script`: events, each at a place in a turn. A script that violates the bounds is not used at all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from manifests.records import ASIDES, Dialogue, Speaker

Kind = Literal["interruption", "backchannel", "hesitation", "self_correction"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FIRST = 2
"""Minimum number of agent words before the user says anything."""
LEFT: dict[Kind, int] = {"interruption": 4, "backchannel": 7}
"""Minimum number of agent words left: a cut must be audible, and so must the agent's talking through a backchannel."""
APART = 4
"""Minimum number of agent words between two events during one agent turn."""
LONGEST: dict[Kind, tuple[int, int]] = {
    "interruption": (1, 20),
    "backchannel": (1, 4),
    "hesitation": (1, 3),
    "self_correction": (2, 8),
}
"""Minimum and maximum number of words."""
LONGEST_REPLY = 60


class Event(BaseModel):
    """Something said at a place: after the first `after_word` words of the turn `turn`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_serialization_defaults_required=True
    )

    kind: Kind
    turn: int = Field(ge=1)
    after_word: int = Field(ge=0)
    says: str = Field(max_length=300)
    """What the user says; empty for an interruption by the user's next turn."""
    reply: str = Field(default="", max_length=600)
    """The agent's answer to an interruption with words of its own."""


class Script(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    events: list[Event]


class Unusable(ValueError):
    """A director's script can't be used, for this reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Line:
    """A turn that takes the floor, as a director sees it."""

    index: int
    """Its index in the dialogue."""
    speaker: Speaker
    words: tuple[str, ...]
    open: bool
    """Whether events may be written into it: not into recorded speech, and not where the input sets events."""
    next_may_interrupt: bool = False
    """Whether the next turn is the user's and may start early."""

    @property
    def text(self) -> str:
        return " ".join(self.words)


def lines_of(dialogue: Dialogue) -> list[Line]:
    floor = [index for index, turn in enumerate(dialogue.turns) if turn.event not in ASIDES]
    lines = []
    for index, following in pairwise([*floor, len(dialogue.turns)]):
        turn, after = dialogue.turns[index], dialogue.turns[following : following + 1]
        between = dialogue.turns[index + 1 : following]
        if turn.speaker == "user":
            open, next_may = turn.recording is None, False
        else:
            fixed = any(aside.text for aside in between) or any(t.event or t.gap_s is not None for t in after)
            open = not fixed
            talk = any(aside.event == "side_talk" for aside in between)
            next_may = open and bool(after) and after[0].speaker == "user" and not talk
        lines.append(Line(index, turn.speaker, tuple(turn.spoken.split()), open, next_may))
    return lines


def check(script: Script, lines: Sequence[Line], kinds: Collection[Kind], most: int) -> None:
    """Raise `Unusable` if the script has more than `most` events, or one of them is out of bounds."""
    if len(script.events) > most:
        raise Unusable("too_many", f"There are {len(script.events)} events, over {most}.")
    for number, event in enumerate(script.events, 1):
        try:
            _check_event(event, lines, kinds)
        except Unusable as error:
            raise Unusable(error.reason, f"Event {number} ({event.kind}): {error}") from None
    _check_apart(script.events)


def _check_event(event: Event, lines: Sequence[Line], kinds: Collection[Kind]) -> None:
    if event.kind not in kinds:
        raise Unusable("unwanted_kind", f"This kind is not allowed; the allowed kinds are: {', '.join(kinds)}.")
    if event.turn > len(lines):
        raise Unusable("no_such_turn", f"There is no turn {event.turn}; there are {len(lines)}.")
    line = lines[event.turn - 1]
    of_agent = event.kind in ("interruption", "backchannel")
    if line.speaker != ("agent" if of_agent else "user") or not line.open:
        whose = "an agent's turn" if of_agent else "a turn of the user"
        raise Unusable("wrong_turn", f"It belongs in {whose} that is open, and turn {event.turn} is not one.")
    first, last = (FIRST, len(line.words) - LEFT[event.kind]) if of_agent else (0, len(line.words) - 1)
    if not first <= event.after_word <= last:
        where = f"from {first} to {last}" if first <= last else "nowhere, since the turn is too short"
        raise Unusable("no_such_place", f"In turn {event.turn} it may come after word {where}, not {event.after_word}.")
    _check_words(event, line)


def _check_words(event: Event, line: Line) -> None:
    fewest, most = LONGEST[event.kind]
    said, replied = len(event.says.split()), len(event.reply.split())
    own_turn = event.kind == "interruption" and not said
    if own_turn and not line.next_may_interrupt:
        raise Unusable("nothing_said", "It says nothing, and the user's next turn can't start early there.")
    if not own_turn and not fewest <= said <= most:
        raise Unusable("wrong_length", f"It says {said} words; {fewest} to {most} are allowed.")
    wants_reply = event.kind == "interruption" and not own_turn
    if bool(replied) != wants_reply or replied > LONGEST_REPLY:
        allowed = f"1 to {LONGEST_REPLY}" if wants_reply else "none"
        raise Unusable("wrong_reply", f"Its reply has {replied} words; {allowed} are allowed.")


def _check_apart(events: Sequence[Event]) -> None:
    """Checks that the events during one agent turn do not overlap, and that an interruption is the last one."""
    for before, after in pairwise(sorted(events, key=_place)):
        if before.turn != after.turn:
            continue
        during = before.kind in ("interruption", "backchannel")
        least = APART if during else 1
        if before.kind == "interruption" or after.after_word - before.after_word < least:
            raise Unusable(
                "too_close",
                f"In turn {before.turn} the events after words {before.after_word} and {after.after_word} collide.",
            )


def _place(event: Event) -> tuple[int, int]:
    return event.turn, event.after_word
