"""Where something is said beside the turns of a dialogue, and what. None of a kind is put in where the input fixes any."""

import random
from collections.abc import Container, Sequence
from itertools import pairwise

from manifests.records import ASIDES, Event, Turn
from stages.base import picked, poisson
from stages.talk.settings import BackchannelSettings, FalseStartSettings, SideTalkSettings

WORD_S = 0.37
"""What a word takes, with its share of the pauses and gaps around it."""
FIRST_S, EACH_S = 2.3, 1.4
"""The room that a turn needs beside its backchannels, and that each of these takes: see `place_asides`."""


def choose_backchannels(
    turns: Sequence[Turn], settings: BackchannelSettings, texts: Sequence[str], random: random.Random
) -> dict[int, list[str]]:
    """Which agent turns the user says something during, and what: {turn index: words of each}."""
    possible = [i for i, t in enumerate(turns) if t.speaker == "agent" and _words(t) >= settings.min_words]
    if _fixed(turns, "backchannel") or not possible:
        return {}
    if settings.per_minute is not None:
        return _per_minute(turns, settings.per_minute, texts, random)
    chosen = picked(possible, settings.share, settings.turn_share, random)
    return {index: [random.choice(texts)] for index in chosen}


def _per_minute(
    turns: Sequence[Turn], per_minute: float, texts: Sequence[str], random: random.Random
) -> dict[int, list[str]]:
    rooms = [
        index
        for index, turn in enumerate(turns)
        if turn.speaker == "agent"
        for _ in range(int((_words(turn) * WORD_S - FIRST_S) / EACH_S))
    ]
    wanted = poisson(per_minute * sum(map(_words, turns)) * WORD_S / 60, random)
    chosen: dict[int, list[str]] = {}
    for index in sorted(random.sample(rooms, min(wanted, len(rooms)))):
        chosen.setdefault(index, []).append(random.choice(texts))
    return chosen


def choose_false_starts(
    turns: Sequence[Turn], taken: Container[int], settings: FalseStartSettings, random: random.Random
) -> dict[int, str]:
    """Which agent turns, such as are not taken, the user begins to speak in, and with which words of the next turn:
    {turn index: words}."""
    possible = [
        index
        for index, (turn, following) in enumerate(pairwise(turns))
        if (turn.speaker, following.speaker) == ("agent", "user")
        and following.event not in ASIDES
        and following.edit is None
        and index not in taken
        and _words(turn) >= settings.min_words
    ]
    if _fixed(turns, "false_start"):
        return {}
    chosen = picked(possible, settings.share, settings.turn_share, random)
    return {index: " ".join(turns[index + 1].spoken.split()[: settings.words]).rstrip(",.;:?!") for index in chosen}


def choose_side_talk(
    turns: Sequence[Turn], settings: SideTalkSettings, texts: Sequence[str], random: random.Random
) -> dict[int, str]:
    """Before which turns the user talks to somebody else, and what: {turn index: words}."""
    possible = [
        index
        for index, (before, turn) in enumerate(pairwise(turns), 1)
        if (before.speaker, turn.speaker) == ("agent", "user") and turn.event in (None, "turn")
    ]
    if _fixed(turns, "side_talk"):
        return {}
    chosen = picked(possible, settings.share, settings.turn_share, random)
    return {index: random.choice(texts) for index in chosen}


def _words(turn: Turn) -> int:
    return len(turn.spoken.split())


def _fixed(turns: Sequence[Turn], event: Event) -> bool:
    return any(turn.event == event for turn in turns)
