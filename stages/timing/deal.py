"""Which change of speaker gets which of a speaker's drawn offsets.

Dealt out rather than drawn for each by itself, the offsets keep their distribution whatever the dialogue: an overlap goes where there
is room for it, and of the gaps the short ones to answers to questions, the long ones to long turns.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

LEAST_S = 0.08
"""A shorter overlap is none that could be heard."""
CUES = 0.6
"""Weight of the text's cues in the order of the gaps; the rest is chance."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of speaker: what is said before, what comes, and for how many seconds the two may overlap."""

    before: str
    after: str
    room_s: float


def deal(changes: Sequence[Change], offsets_s: Sequence[float], random: random.Random) -> list[float]:
    """One of as many offsets (seconds) for each change. An overlap that fits nowhere is shortened; one for which there is no room at all
    becomes a gap of the same length."""
    given: dict[int, float] = {}
    gaps = [offset for offset in offsets_s if offset >= 0]
    for offset in sorted(offset for offset in offsets_s if offset < 0):
        free = [at for at in range(len(changes)) if at not in given]
        fitting = [at for at in free if changes[at].room_s >= -offset]
        at = random.choice(fitting) if fitting else max(free, key=lambda at: changes[at].room_s)
        if changes[at].room_s >= LEAST_S:
            given[at] = max(offset, -changes[at].room_s)
        else:
            gaps.append(-offset)
    left = sorted((at for at in range(len(changes)) if at not in given), key=lambda at: _late(changes[at], random))
    given |= zip(left, sorted(gaps), strict=True)
    return [given[at] for at in range(len(changes))]


def _late(change: Change, random: random.Random) -> float:
    """The higher, the longer the next speaker waits."""
    asked = -1.0 if change.before.rstrip().endswith("?") else 0.5
    long = max(-2.0, min(2.0, log(max(1, len(change.after.split())) / 12)))
    return CUES * (asked + long) + sqrt(1 - CUES**2) * random.gauss(0, 1)
