"""Each turn's start relative to the end of the previous turn, by a profile, and how far two turns can overlap.

An overlap is limited by its audible effects. It stays after the last pause of the ending turn and before the first
pause of the starting turn: otherwise, one of the two stretches of speech would be entirely inside the other and not
be a turn. And speakers never overlap themselves: not their own backchannel or barge-in in the other's turn, and not
their own next turn if the one between is short."""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from math import log
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from manifests.frames import FRAME_SECONDS, SOURCE_RATE
from manifests.records import DURING, SPEAKERS, Speaker, SpokenDialogue
from stages.timing.barge_ins import BargeIn
from stages.timing.deal import Change, deal
from stages.timing.profile import STEPS, Profile, quantile, ranks

_NORMAL = NormalDist()

OVERLAPPED_SHARE = 0.9
"""At most this share of the shorter stretch overlaps: in the AMI meetings, 93 of 100 overlaps are within it."""
LEFT_S = 0.08
"""At least this much of it does not overlap, or rounding to frames could put it inside the other."""
APART_S = 0.24
"""Minimum distance between two turns of one speaker, however far the other's overlap them; any closer, and they would
be one."""
AGENT_APART_S = APART_S + 2 * FRAME_SECONDS
"""The same for the agent, whose turns start on frames, with EOS and BOS between them."""


class LaidTurn(NamedTuple):
    """A turn that takes the floor, with what is known before its start is chosen. In seconds."""

    at: int
    """Its index in the dialogue."""
    speaker: Speaker
    text: str
    length_s: float
    free_s: float
    """At its start: how far the previous turn may extend into it."""
    open_s: float
    """At its end: how far the next turn may extend into it."""
    barged_into: bool
    fixed: bool
    """Whether the input sets its offset from the previous turn."""


def laid_turns(
    spoken: SpokenDialogue,
    asides: Mapping[int, int],
    barge_ins: Mapping[int, BargeIn],
    pauses: Mapping[int, Sequence[tuple[int, int]]],
) -> list[LaidTurn]:
    """The dialogue's turns, without asides. The planned events are keyed by turn index, in samples at 16 kHz: see
    `schedule.Plan`."""
    found: list[LaidTurn] = []
    for index, (turn, speech) in enumerate(zip(spoken.dialogue.turns, spoken.speech, strict=True)):
        length = len(speech.samples) / speech.rate
        if turn.event in DURING:
            if index in asides and found:  # of the other speaker, in the previous turn
                start, before = asides[index] / SOURCE_RATE, found[-1]
                # Those of the agent in the user's turn are planned with that turn's pauses.
                waits = sum(wait for _, wait in pauses.get(before.at, ())) if before.speaker == "user" else 0
                free = start - APART_S
                left = before.length_s + waits / SOURCE_RATE - start - length - APART_S
                found[-1] = before._replace(free_s=min(before.free_s, free), open_s=min(before.open_s, left))
            continue
        places = [speech.words[word].start / speech.rate for word, _ in pauses.get(index, ())]
        free, open_s = _reach(places[0] if places else length), _reach(length - places[-1] if places else length)
        if index in barge_ins:
            free = min(free, barge_ins[index].onset / SOURCE_RATE - APART_S)
        if found and found[-1].barged_into:  # the agent talks into it until it is cut off
            open_s = min(open_s, length - barge_ins[found[-1].at].cut_off_s - AGENT_APART_S)
        fixed = turn.gap_s is not None
        found.append(LaidTurn(index, turn.speaker, turn.spoken, length, free, open_s, index in barge_ins, fixed))
    return found


def _reach(stretch_s: float) -> float:
    return min(OVERLAPPED_SHARE * stretch_s, stretch_s - LEFT_S)


def choose_offsets(
    turns: Sequence[LaidTurn], profile: Profile, agent_overlaps: bool, random: random.Random
) -> dict[int, int]:
    """Each turn's start relative to the end of the previous turn: {turn index: samples at 16 kHz, negative for an
    overlap}.

    Turns that barge in, and those whose gap the input sets, are not included.
    """
    changes = dict(_changes(turns, agent_overlaps))
    profile = lengthened(profile, [change.room_s for change in changes.values()])
    drawn: dict[int, float] = {}
    for speaker in SPEAKERS:
        own = [index for index, change in changes.items() if change.speaker == speaker]
        overlaps = speaker == "user" or agent_overlaps
        for index, rank in zip(own, ranks(len(own), random), strict=True):
            drawn[index] = profile.offset_s(rank) if overlaps else quantile(profile.gap_s, rank)
    dealt = deal(list(changes.values()), [drawn[index] for index in changes], random)
    return {index: round(second * SOURCE_RATE) for index, second in zip(changes, dealt, strict=True)}


ALIKE = 0.5
"""Spread of turn lengths among similar dialogues, as the standard deviation of the logarithm."""


def lengthened(profile: Profile, rooms_s: Sequence[float]) -> Profile:
    """The profile for a dialogue whose changes of speaker have this much room, so that similar dialogues together
    match the profile.

    A short dialogue often has no room for a long overlap, or for one of two, which is then shortened. How often is
    estimated from its own rooms, each of which might be somewhat larger or smaller: a share of the overlaps beyond a
    given length is kept. So the dialogues with room for any draw them 1 / share times as often."""
    rooms = [room for room in rooms_s if room > 0]
    beyond: list[float] = []  # the share of the overlaps to draw that are longer than each kept quantile
    for step, length in enumerate(profile.overlap_s):
        longer = 1 - step / STEPS
        possible = longer > 0 and 0 < length < max(rooms, default=0.0)
        beyond.append(min(1.0, longer / _kept(length, longer * profile.overlap_share, rooms)) if possible else longer)
    beyond = list(accumulate(reversed(beyond), max))  # from the longest; never falling toward the shorter
    lengths = np.interp(np.linspace(0, 1, STEPS + 1), beyond, profile.overlap_s[::-1])[::-1]
    return profile.model_copy(update={"overlap_s": tuple(lengths.tolist())})


def _kept(length_s: float, share: float, rooms_s: Sequence[float]) -> float:
    """The share of the overlaps longer than this, drawn for this share of the changes, for which dialogues like this
    one have room."""
    drawn = room = np.ones(1)  # the probability of each number of them
    for own in rooms_s:
        possible = 1 - _NORMAL.cdf(log(length_s / own) / ALIKE)
        drawn = np.convolve(drawn, [1 - share, share])
        room = np.convolve(room, [1 - possible, possible])
    numbers = np.arange(len(drawn))
    return float(drawn @ np.minimum(numbers[:, None], numbers) @ room) / (share * len(rooms_s))


def _changes(turns: Sequence[LaidTurn], agent_overlaps: bool) -> Iterator[tuple[int, Change]]:
    """The changes of speaker that a profile decides on, by index of the next turn."""
    shared_s: float | None = None  # what the previous change left of the ending turn
    for before, turn in pairwise(turns):
        if before.barged_into or turn.fixed or before.speaker == turn.speaker:
            shared_s = None
            continue
        overlaps = turn.speaker == "user" or agent_overlaps
        room = max(0.0, min(before.open_s, turn.free_s)) if overlaps else 0.0
        yield turn.at, Change(before.text, turn.text, room, turn.speaker, shared_s)
        # The next speaker is the one who has just ended.
        shared_s = turn.length_s - (APART_S if before.speaker == "user" else AGENT_APART_S)
