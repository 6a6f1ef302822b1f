"""What a director sees of a dialogue, what it may write into it, and how far that may go.

It sees the turns that take the floor, numbered from 1, each as the words that will be heard. What it writes is a
`Script`: events, each at a place in a turn. One that does not keep within the bounds here is not used at all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from manifests.records import ASIDES, Dialogue, Speaker

Kind = Literal["interruption", "backchannel", "hesitation", "self_correction"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FIRST = 2
"""So many of the agent's words are said at least before the user says anything."""
LEFT: dict[Kind, int] = {"interruption": 4, "backchannel": 7}
"""So many are left at least: a cut must be heard, and the agent must be heard to talk through a backchannel."""
APART = 4
"""So many of the agent's words are between two things that the user says during one turn."""
LONGEST: dict[Kind, tuple[int, int]] = {
    "interruption": (1, 20),
    "backchannel": (1, 4),
    "hesitation": (1, 3),
    "self_correction": (2, 8),
}
"""The fewest and the most words that are said."""
LONGEST_REPLY = 60


class Event(BaseModel):
    """Something that is said. `after_word` counts the words of the turn `turn` that are said before it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_serialization_defaults_required=True
    )

    kind: Kind
    turn: int = Field(ge=1)
    after_word: int = Field(ge=0)
    says: str = Field(max_length=300)
    """What the user says; of an interruption empty if the user's next turn is what interrupts."""
    reply: str = Field(default="", max_length=600)
    """What the agent answers to an interruption that says something."""


class Script(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    events: list[Event]


class Unusable(ValueError):
    """What a director wrote can't be used, for this reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Line:
    """A turn that takes the floor, as a director sees it."""

    index: int
    """Where it stands in the dialogue."""
    speaker: Speaker
    words: tuple[str, ...]
    open: bool
    """Whether anything may be written into it. Not into recorded speech, nor beside what the input fixes."""
    next_may_interrupt: bool = False
    """Whether the turn after this one is the user's, and may begin early."""

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
    """Raise `Unusable` where the script has more than `most` events, or one of them is out of bounds."""
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
        raise Unusable("unwanted_kind", f"This kind is not wanted; those that are: {', '.join(kinds)}.")
    if event.turn > len(lines):
        raise Unusable("no_such_turn", f"There is no turn {event.turn}; there are {len(lines)}.")
    line = lines[event.turn - 1]
    of_agent = event.kind in ("interruption", "backchannel")
    if line.speaker != ("agent" if of_agent else "user") or not line.open:
        whose = "an agent's turn" if of_agent else "a turn of the user"
        raise Unusable("wrong_turn", f"It belongs into {whose} that is open, and turn {event.turn} is none.")
    first, last = (FIRST, len(line.words) - LEFT[event.kind]) if of_agent else (0, len(line.words) - 1)
    if not first <= event.after_word <= last:
        where = f"from {first} to {last}" if first <= last else "nowhere, since the turn is too short"
        raise Unusable(
            "no_such_place", f"In turn {event.turn} it can stand after word {where}, not {event.after_word}."
        )
    _check_words(event, line)


def _check_words(event: Event, line: Line) -> None:
    fewest, most = LONGEST[event.kind]
    said, replied = len(event.says.split()), len(event.reply.split())
    own_turn = event.kind == "interruption" and not said
    if own_turn and not line.next_may_interrupt:
        raise Unusable("nothing_said", "It says nothing, and the user's next turn can't begin early there.")
    if not own_turn and not fewest <= said <= most:
        raise Unusable("wrong_length", f"It says {said} words; {fewest} to {most} are allowed.")
    wants_reply = event.kind == "interruption" and not own_turn
    if bool(replied) != wants_reply or replied > LONGEST_REPLY:
        allowed = f"1 to {LONGEST_REPLY}" if wants_reply else "none"
        raise Unusable("wrong_reply", f"Its reply has {replied} words; {allowed} are allowed.")


def _check_apart(events: Sequence[Event]) -> None:
    """What the user says during one turn of the agent does not run together, and an interruption ends it."""
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
