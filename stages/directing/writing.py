"""A director's script → the turns, asides and words of the dialogue."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from manifests.direction import Direction
from manifests.records import DURING, Dialogue, Turn
from stages.directing.script import Event, Kind, Line, Script, Unusable
from stages.talk.disfluencies import insert
from stages.text.normalize import Unspeakable

Normalize = Callable[[str], str]


def directed(
    dialogue: Dialogue, lines: Sequence[Line], script: Script, kinds: Collection[Kind], by: str, normalize: Normalize
) -> Dialogue:
    """The dialogue with the script's events. Of the kinds that a director is to write, they take the place of what the recipe
    draws: the backchannels that `speak` put in; its false starts, and barge-ins.

    `script` must have passed `check`; raises `Unusable` where a voice can't read what it says.
    """
    replaced = {"backchannel"} & {*kinds} | ({"barge_in", "false_start"} if "interruption" in kinds else set())
    events: dict[int, list[Event]] = {}
    for event in sorted(script.events, key=lambda e: e.after_word):
        events.setdefault(lines[event.turn - 1].index, []).append(event)
    turns = tuple(_turns(dialogue, events, replaced, normalize))
    return replace(dialogue, turns=turns, direction=Direction(by, len(script.events)))


def _turns(
    dialogue: Dialogue, events: dict[int, list[Event]], replaced: Collection[str], normalize: Normalize
) -> Iterator[Turn]:
    interrupts: int | None = None  # so many words of the agent's are said before the user's next turn begins
    for index, turn in enumerate(dialogue.turns):
        if turn.event in DURING:
            if turn.text or turn.speaker == "agent" or turn.event not in replaced:
                yield turn
            continue
        own = events.get(index, [])
        if turn.speaker == "user":
            if interrupts is not None:
                turn = replace(turn, event="barge_in", after_words=interrupts)
            elif turn.event is None and "barge_in" in replaced:
                turn = replace(turn, event="turn")
            yield _disfluent(turn, own, normalize)
            interrupts = None
            continue
        yield turn
        for event in own:
            if event.kind == "interruption" and not event.says:
                interrupts = event.after_word
            else:
                yield from _said_during(event, normalize)


def _said_during(event: Event, normalize: Normalize) -> Iterator[Turn]:
    says = _spoken(event.says, normalize)
    if event.kind == "backchannel":
        yield Turn("user", text="", spoken=says, event="backchannel", after_words=event.after_word)
        return
    yield Turn("user", text="", spoken=says, event="barge_in", after_words=event.after_word)
    yield Turn("agent", text="", spoken=_spoken(event.reply, normalize))


def _disfluent(turn: Turn, events: Sequence[Event], normalize: Normalize) -> Turn:
    """The turn with hesitations and corrections among its words, set off by commas."""
    if not events:
        return turn
    for event in reversed(events):
        assert event.kind in ("hesitation", "self_correction")
        turn = insert(turn, event.after_word, _spoken(event.says, normalize), event.kind)
    spoken = turn.spoken
    if _spoken(spoken, normalize) != spoken:
        raise Unusable("unspeakable", f"A voice would not read {spoken[:60]!r} word for word.")
    return turn


def _spoken(text: str, normalize: Normalize) -> str:
    try:
        return normalize(text)
    except Unspeakable as error:
        raise Unusable("unspeakable", str(error)) from None
