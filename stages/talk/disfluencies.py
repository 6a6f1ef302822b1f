"""Hesitations and corrected words, inserted into a turn."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from manifests.direction import Disfluency
from manifests.records import Turn
from manifests.words import SENTENCE_END, words_of
from stages.text.normalize import Unspeakable

_SMALL = frozenset(
    words_of(
        "a an and are but can could do does have how if in is it its it's let my no not of on our so that the there this to was we well "
        "what what's when where which who why will would yeah yes you your"
    )
)
"""First words of a turn that lose their capital when words are inserted before them."""
_SOUNDS = ("um", "uh", "er", "erm", "hmm", "mm")


def insert(turn: Turn, at: int, said: str, kind: Literal["hesitation", "self_correction"]) -> Turn:
    """The turn with `said` inserted before its spoken word `at` (from 0), set off by commas."""
    words, own = turn.spoken.split(), said.rstrip(".,;:").split()
    begins = at == 0 or words[at - 1].endswith(SENTENCE_END)
    if own[0].lower() in (*_SMALL, *_SOUNDS):
        own[0] = own[0].capitalize() if begins else own[0].lower()
    if not begins and kind == "hesitation":
        words[at - 1] = _with_comma(words[at - 1])
    elif begins and words[at].lower().rstrip(",") in _SMALL:
        words[at] = words[at].lower()
    words[at:at] = [*own[:-1], _with_comma(own[-1])]
    before = [one for one in turn.disfluencies if one.first < at]
    behind = [replace(one, first=one.first + len(own)) for one in turn.disfluencies if one.first >= at]
    return replace(turn, spoken=" ".join(words), disfluencies=(*before, Disfluency(kind, at, len(own)), *behind))


def without(turn: Turn, kind: Literal["hesitation", "self_correction"], read: Callable[[str], str]) -> Turn:
    """The turn as it was before words of this kind were inserted. Commas and capitals are restored from the written
    text as normalized by `read`, if it has the same words."""
    gone = {n for one in turn.disfluencies if one.kind == kind for n in range(one.first, one.first + one.number)}
    if not gone:
        return turn
    spoken = " ".join(word for n, word in enumerate(turn.spoken.split()) if n not in gone)
    with suppress(Unspeakable):
        if turn.text and words_of(written := read(turn.text)) == words_of(spoken):
            spoken = written
    kept = [one for one in turn.disfluencies if one.kind != kind]
    moved = (replace(one, first=one.first - sum(n < one.first for n in gone)) for one in kept)
    return replace(turn, spoken=spoken, disfluencies=tuple(moved))


def _with_comma(word: str) -> str:
    return word if word[-1] in ".,;:?!" else f"{word},"
