"""Applies a director's script to the turns, asides and words of a dialogue."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from manifests.direction import Direction
from manifests.records import ASIDES, Dialogue, Turn
from stages.directing.script import Event, Kind, Line, Script, Unusable
from stages.talk.disfluencies import insert, without
from stages.text.normalize import Unspeakable

Read = Callable[[str], str]
"""Maps written text to spoken words; raises `Unspeakable`."""


def undrawn(dialogue: Dialogue, kinds: Collection[Kind], read: Read) -> Dialogue:
    """The dialogue without the drawn events of the kinds that the director writes: backchannels, fillers and, with
    interruptions, false starts."""
    replaced = {"backchannel"} & {*kinds} | ({"false_start"} if "interruption" in kinds else set())
    turns = []
    for turn in dialogue.turns:
        if turn.speaker == "user":
            if turn.event in replaced and not turn.text:
                continue
            if "hesitation" in kinds:
                turn = without(turn, "hesitation", read)
        turns.append(turn)
    return replace(dialogue, turns=tuple(turns))


def as_spoken(script: Script, read: Read) -> Script:
    """The script with its texts normalized to spoken words; raises `Unusable` if one can't be spoken."""
    heard = (
        event.model_copy(update={name: _spoken(text, read) for name, text in _texts(event)}) for event in script.events
    )
    return Script(events=list(heard))


def _texts(event: Event) -> list[tuple[str, str]]:
    return [(name, text) for name, text in (("says", event.says), ("reply", event.reply)) if text.strip()]


def directed(
    dialogue: Dialogue, lines: Sequence[Line], script: Script, kinds: Collection[Kind], by: str, read: Read
) -> Dialogue:
    """The dialogue (whose lines are given) with the script's events. If `kinds` has interruptions, `schedule` draws
    no barge-ins.

    `script` is `as_spoken` and has passed `check`; raises `Unusable` if a turn is read differently with the added words.
    """
    events: dict[int, list[Event]] = {}
    for event in sorted(script.events, key=lambda e: e.after_word):
        events.setdefault(lines[event.turn - 1].index, []).append(event)
    turns = tuple(_turns(dialogue, events, "interruption" in kinds, read))
    return replace(dialogue, turns=turns, direction=Direction(by, len(script.events)))


def _turns(dialogue: Dialogue, events: dict[int, list[Event]], interrupted: bool, read: Read) -> Iterator[Turn]:
    voices = {turn.speaker: turn.voice for turn in reversed(dialogue.turns) if turn.recording is None}
    interrupts: int | None = None  # number of agent words before the user's next turn starts
    for index, turn in enumerate(dialogue.turns):
        own = events.get(index, [])
        if turn.speaker == "user" and turn.event not in ASIDES:
            if interrupts is not None:
                turn = replace(turn, event="barge_in", after_words=interrupts)
            elif turn.event is None and interrupted:
                turn = replace(turn, event="turn")
            yield _disfluent(turn, own, read)
            interrupts = None
            continue
        yield turn
        for event in own:
            if event.kind == "interruption" and not event.says.strip():
                interrupts = event.after_word
                continue
            happens: Literal["backchannel", "barge_in"] = "backchannel" if event.kind == "backchannel" else "barge_in"
            yield Turn("user", "", event.says, voices.get("user", ""), event=happens, after_words=event.after_word)
            if happens == "barge_in":
                yield Turn("agent", "", event.reply, voices.get("agent", ""))


def _disfluent(turn: Turn, events: Sequence[Event], read: Read) -> Turn:
    """The turn with hesitations and corrections inserted, set off by commas."""
    if not events:
        return turn
    for event in reversed(events):
        assert event.kind in ("hesitation", "self_correction")
        turn = insert(turn, event.after_word, event.says, event.kind)
    spoken = turn.spoken
    if _spoken(spoken, read) != spoken:
        raise Unusable("unspeakable", f"A voice would not read {spoken[:60]!r} word for word.")
    return turn


def _spoken(text: str, read: Read) -> str:
    try:
        return read(text)
    except Unspeakable as error:
        raise Unusable("unspeakable", str(error)) from None
