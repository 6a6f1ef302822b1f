"""Assigns a dialogue's drawn offsets to its changes of speaker.

Assigned rather than drawn for each change separately, the offsets keep their distribution in any dialogue: an overlap
goes where there is room for it, short gaps go to answers to questions, and long gaps to long turns."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

from manifests.records import Speaker

LEAST_S = 0.08
"""A shorter overlap would not be audible."""
CUES = 0.6
"""Weight of the text's cues in the order of the gaps; the rest is random."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of speaker, to `speaker`: the texts before and after, and for how many seconds the two may overlap."""

    before: str
    after: str
    room_s: float
    speaker: Speaker = "user"
    shared_s: float | None = None
    """How many seconds this overlap and the previous change's may take together; None: they are not in one turn."""


def deal(changes: Sequence[Change], offsets_s: Sequence[float], random: random.Random) -> list[float]:
    """The offsets (seconds), one drawn for the speaker of each change, in their new places.

    A speaker's offsets stay with that speaker if possible. An overlap that fits nowhere is shortened; one without any
    room becomes a gap of the same length."""
    given: dict[int, float] = {}
    gaps = [(offset, at) for at, offset in enumerate(offsets_s) if offset >= 0]
    for offset, drawn_for in sorted((offset, at) for at, offset in enumerate(offsets_s) if offset < 0):
        rooms = {at: _room(changes, given, at) for at in range(len(changes)) if at not in given}
        fitting = [at for at, room in rooms.items() if room >= -offset]
        own = [at for at in fitting if changes[at].speaker == changes[drawn_for].speaker]
        at = random.choice(own or fitting) if fitting else max(rooms, key=lambda at: rooms[at])
        if rooms[at] >= LEAST_S:
            given[at] = max(offset, -rooms[at])
        else:
            gaps.append((-offset, drawn_for))
    return [offset for _, offset in sorted((given | _deal_gaps(changes, given, gaps, random)).items())]


def _room(changes: Sequence[Change], given: dict[int, float], at: int) -> float:
    """How far a change may overlap, given the overlaps of its neighbors."""
    room = changes[at].room_s
    for neighbor, shared in ((at - 1, changes[at].shared_s), (at + 1, _shared_after(changes, at))):
        if neighbor in given and shared is not None:
            room = min(room, shared + given[neighbor])
    return room


def _shared_after(changes: Sequence[Change], at: int) -> float | None:
    return changes[at + 1].shared_s if at + 1 < len(changes) else None


def _deal_gaps(
    changes: Sequence[Change], given: dict[int, float], gaps: Sequence[tuple[float, int]], random: random.Random
) -> dict[int, float]:
    """A gap for each change without an overlap: each speaker's own ones, ordered by how long the text suggests
    waiting."""
    left = [at for at in range(len(changes)) if at not in given]
    own: dict[Speaker, list[float]] = {"user": [], "agent": []}
    for gap, drawn_for in gaps:
        own[changes[drawn_for].speaker].append(gap)
    # An overlap that was placed with the other speaker leaves that one with one gap more than places.
    dealt: dict[int, float] = {}
    pairs: tuple[tuple[Speaker, Speaker], ...] = (("user", "agent"), ("agent", "user"))
    for speaker, other in pairs:
        places = [at for at in left if changes[at].speaker == speaker]
        places.sort(key=lambda at: _late(changes[at], random))
        while len(own[speaker]) > len(places):
            own[other].append(own[speaker].pop(random.randrange(len(own[speaker]))))
        while len(own[speaker]) < len(places):
            own[speaker].append(own[other].pop(random.randrange(len(own[other]))))
        dealt |= zip(places, sorted(own[speaker]), strict=True)
    return dealt


def _late(change: Change, random: random.Random) -> float:
    """A score: the higher, the longer the next speaker waits."""
    asked = -1.0 if change.before.rstrip().endswith("?") else 0.5
    long = max(-2.0, min(2.0, log(max(1, len(change.after.split())) / 12)))
    return CUES * (asked + long) + sqrt(1 - CUES**2) * random.gauss(0, 1)
