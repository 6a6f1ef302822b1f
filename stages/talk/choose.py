"""Where events are added to a dialogue, and in which words. A kind that the input sets is not added."""

import random
from collections.abc import Container, Sequence
from itertools import pairwise

from manifests.records import ASIDES, Act, Event, Speaker, Turn
from manifests.words import SENTENCE_END
from stages.base import picked, poisson
from stages.talk.disfluencies import insert
from stages.talk.phrases import Phrases
from stages.talk.settings import (
    AgentBackchannelSettings,
    BackchannelSettings,
    FalseStartSettings,
    FillerSettings,
    HoldSettings,
    RepromptSettings,
    SideTalkSettings,
)

WORD_S = 0.37
"""Average time per word, including its share of pauses and gaps."""
FIRST_S, EACH_S = 2.3, 1.4
"""The time a turn needs in addition to its backchannels, and the time that each one takes: see `stages.timing.asides`."""

Texts = Sequence[str]


def choose_backchannels(
    turns: Sequence[Turn], settings: BackchannelSettings, texts: Texts, random: random.Random
) -> dict[int, list[str]]:
    """The agent turns during which the user says something, and what: {turn index: words of each}."""
    possible = _long(turns, "agent", settings.min_words)
    if _fixed(turns, "user", "backchannel") or not possible:
        return {}
    if settings.per_minute is not None:
        return _per_minute(turns, settings.per_minute, texts, random)
    chosen = picked(possible, settings.share, settings.turn_share, random)
    return {index: [random.choice(texts)] for index in chosen}


def _per_minute(turns: Sequence[Turn], per_minute: float, texts: Texts, random: random.Random) -> dict[int, list[str]]:
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


def choose_agent_backchannels(
    turns: Sequence[Turn], settings: AgentBackchannelSettings, texts: Texts, random: random.Random
) -> dict[int, str]:
    """The user turns during which the agent says something, and what: {turn index: words}."""
    if _fixed(turns, "agent", "backchannel"):
        return {}
    possible = _long(turns, "user", settings.min_words)
    chosen = picked(possible, settings.share, settings.turn_share, random)
    return {index: random.choice(texts) for index in chosen}


def choose_false_starts(
    turns: Sequence[Turn], taken: Container[int], settings: FalseStartSettings, random: random.Random
) -> dict[int, str]:
    """The agent turns, except taken ones, in which the user starts to speak, and with which words of the next turn:
    {turn index: words}."""
    possible = [
        index for index in _answered(turns) if index not in taken and _words(turns[index]) >= settings.min_words
    ]
    if _fixed(turns, "user", "false_start"):
        return {}
    chosen = picked(possible, settings.share, settings.turn_share, random)
    return {index: " ".join(turns[index + 1].spoken.split()[: settings.words]).rstrip(",.;:?!") for index in chosen}


def choose_side_talk(
    turns: Sequence[Turn], settings: SideTalkSettings, texts: Texts, random: random.Random
) -> dict[int, str]:
    """The agent turns after which the user talks to somebody else, and what: {turn index: words}."""
    possible = [index for index in _answered(turns) if turns[index + 1].event in (None, "turn")]
    if _fixed(turns, "user", "side_talk"):
        return {}
    chosen = picked(possible, settings.share, settings.turn_share, random)
    return {index: random.choice(texts) for index in chosen}


def choose_reprompts(
    turns: Sequence[Turn], taken: Container[int], settings: RepromptSettings, texts: Texts, random: random.Random
) -> dict[int, str]:
    """The agent turns, except taken ones, after which the agent asks again, and what: {turn index: words}."""
    following = {index: turns[index + 1] for index in _answered(turns) if index not in taken}
    possible = [index for index, turn in following.items() if turn.event in (None, "turn") and turn.gap_s is None]
    if any(turn.act == "reprompt" for turn in turns):
        return {}
    chosen = picked(possible, settings.share, settings.turn_share, random)
    return {index: random.choice(texts) for index in chosen}


def choose_holds(
    turns: Sequence[Turn], taken: Container[int], settings: HoldSettings, said: Phrases, random: random.Random
) -> dict[int, tuple[Turn, ...]]:
    """The agent turns, except taken ones, that the user stops, and the resulting turns: {turn index: turns}.

    The sentence in which it is cut is chosen here, with a probability proportional to its length: the agent resumes
    at its start."""
    possible = [
        index
        for index in _answered(turns)
        if index not in taken
        and _words(turns[index]) >= settings.min_words
        and turns[index].recording is None
        and turns[index + 1].event in (None, "turn")
        and turns[index + 1].gap_s is None
    ]
    if any(turn.act in ("wait", "stop") for turn in turns):
        return {}
    chosen: dict[int, tuple[Turn, ...]] = {}
    for index in picked(possible, settings.share, settings.turn_share, random):
        if random.random() < settings.stop:
            chosen[index] = (put_in("user", random.choice(settings.stops or said.stops), "barge_in", "stop"),)
            continue
        words = turns[index].spoken.split()
        cut = random.randrange(2, len(words))
        begins = max((n for n in range(1, cut + 1) if words[n - 1].endswith(SENTENCE_END)), default=0)
        chosen[index] = (
            put_in("user", random.choice(settings.waits or said.waits), "barge_in", "wait"),
            put_in("user", random.choice(settings.resumes or said.resumes), "turn", "go_on"),
            put_in("agent", " ".join(words[begins:]), "turn", "resume"),
        )
    return chosen


def with_fillers(
    turns: Sequence[Turn], settings: FillerSettings, texts: Texts, random: random.Random
) -> Sequence[Turn]:
    """The turns with a random number of fillers in the user's words. Recordings have their own."""
    places = [
        (index, word)
        for index, turn in enumerate(turns)
        if turn.speaker == "user" and turn.event not in ASIDES and turn.recording is None
        for word in range(_words(turn))
    ]
    wanted = min(poisson(settings.per_minute * len(places) * WORD_S / 60, random), len(places))
    filled = list(turns)
    # Backwards, so that earlier places stay valid.
    for index, word in sorted(random.sample(places, wanted), reverse=True):
        filled[index] = insert(filled[index], word, random.choice(texts), "hesitation")
    return filled


def put_in(speaker: Speaker, spoken: str, event: Event, act: Act = "") -> Turn:
    """A turn without written text."""
    return Turn(speaker, text="", spoken=spoken, event=event, act=act)


def _answered(turns: Sequence[Turn]) -> list[int]:
    """Agent turns followed by a user turn, except between the parts of an answer."""
    return [
        index
        for index, (turn, following) in enumerate(pairwise(turns))
        if (turn.speaker, following.speaker) == ("agent", "user")
        and following.event not in ASIDES
        and following.edit is None
    ]


def _long(turns: Sequence[Turn], speaker: Speaker, words: int) -> list[int]:
    return [i for i, t in enumerate(turns) if t.speaker == speaker and t.event not in ASIDES and _words(t) >= words]


def _words(turn: Turn) -> int:
    return len(turn.spoken.split())


def _fixed(turns: Sequence[Turn], speaker: Speaker, event: Event) -> bool:
    return any((turn.speaker, turn.event) == (speaker, event) for turn in turns)
