"""What happens inside turns: where backchannels fall, which turns are barged into and when, where users pause."""

import random
from itertools import pairwise, takewhile

from manifests.frames import SOURCE_RATE, convert, convert_up, to_samples
from manifests.records import ASIDES, DURING, BadDialogue, Speech, SpokenDialogue
from stages.base import picked, poisson
from stages.timing.profile import Profile, quantile
from stages.timing.settings import BargeInSettings, PauseSettings, ScheduleSettings, TailSettings

MIN_LOST_S = 0.24
"""A cut must take at least this much of the agent's turn, or nobody would hear that it was cut."""
UNDER_WAY_S = 0.06
"""A word that is cut has begun at least this long before."""
REACTION_S = 0.3
"""What is said because of certain words begins at most this long after them, where it can."""
AFTER_BACKCHANNEL_S = 1.5
"""The agent talks on for at least this long after a backchannel: whoever listens can tell that it did not stop for it."""
SENTENCE_END = (".", "!", "?")


def place_asides(spoken: SpokenDialogue, settings: ScheduleSettings, random: random.Random) -> dict[int, int]:
    """When each backchannel or false start begins, in 16 kHz samples from its agent turn's start: {its index: samples}.

    One that a stage put in and that finds no room is left out; raises `BadDialogue` for one that the input fixes.
    """
    placed: dict[int, int] = {}
    agent, free = -1, 0
    for index, (turn, speech) in enumerate(zip(spoken.dialogue.turns, spoken.speech, strict=True)):
        if turn.event not in DURING:
            agent, free = (
                (index if turn.speaker == "agent" else -1),
                to_samples(settings.barge_in.earliest_s, SOURCE_RATE),
            )
            continue
        length = _length(speech)
        last = -1
        if agent >= 0 and turn.speaker == "user":
            after = length + to_samples(AFTER_BACKCHANNEL_S, SOURCE_RATE) + _room_behind(spoken, index, settings)
            last = convert(len(spoken.speech[agent].samples), spoken.speech[agent].rate, SOURCE_RATE) - after
        first, latest = free, last
        if agent >= 0 and turn.after_words is not None:
            first = max(free, _said(spoken.speech[agent], turn.after_words))
            latest = min(last, first + to_samples(REACTION_S, SOURCE_RATE))
        if first <= latest:
            placed[index] = random.randint(first, latest)
            free = placed[index] + length + to_samples(settings.barge_in.earliest_s, SOURCE_RATE)
        elif turn.text:
            kind = "backchannel" if turn.event == "backchannel" else "false start"
            message = f"Turn {index + 1} is to be a {kind}, but no agent turn long enough stands before it."
            raise BadDialogue(f"{turn.event}_impossible", message)
    return placed


def _length(speech: Speech) -> int:
    return convert_up(len(speech.samples), speech.rate, SOURCE_RATE)


def _room_behind(spoken: SpokenDialogue, index: int, settings: ScheduleSettings) -> int:
    """What the asides behind this one, in the same turn of the agent, need."""
    behind = takewhile(
        lambda pair: pair[0].event in DURING,
        zip(spoken.dialogue.turns[index + 1 :], spoken.speech[index + 1 :], strict=True),
    )
    return sum(_length(speech) + to_samples(settings.barge_in.earliest_s, SOURCE_RATE) for _, speech in behind)


def choose_barge_ins(
    spoken: SpokenDialogue, asides: dict[int, int], settings: ScheduleSettings, random: random.Random
) -> dict[int, int]:
    """Which agent turns are barged into, and when: {turn index: samples at 16 kHz from its start to the user's}.

    What the input fixes (`event` of the user's turn) comes first; the recipe's shares decide on the rest. Raises
    `BadDialogue` where the input fixes a barge-in that can't be.
    """
    turns = spoken.dialogue.turns
    possible: dict[int, list[range]] = {}
    fixed: dict[int, list[range]] = {}
    before, earliest = -1, 0  # the turn that has the floor, and from when on it can be barged into
    for index, user in enumerate(turns):
        if user.event in DURING:
            if index in asides:
                speech = spoken.speech[index]
                length = convert_up(len(speech.samples), speech.rate, SOURCE_RATE)
                earliest = asides[index] + length + to_samples(settings.barge_in.earliest_s, SOURCE_RATE)
            continue
        follows_agent = before >= 0 and (turns[before].speaker, user.speaker) == ("agent", "user")
        onsets = _onsets(spoken.speech[before], settings.barge_in, earliest) if follows_agent else []
        if user.after_words is not None and onsets:
            onsets = _soon_after(onsets, _said(spoken.speech[before], user.after_words))
        waits = user.may_wait or user.after_words is not None
        if user.event == "barge_in" and (onsets or not waits):
            if not onsets:
                message = f"Turn {index + 1} is to barge in, but no agent turn long enough to cut stands before it."
                raise BadDialogue("barge_in_impossible", message)
            fixed[before] = onsets
        elif onsets and user.event is None and user.gap_s is None:
            possible[before] = onsets
        before, earliest = index, to_samples(settings.barge_in.earliest_s, SOURCE_RATE)
    chosen = dict(fixed)
    if not fixed:
        own = settings.barge_in
        chosen |= {index: possible[index] for index in picked([*possible], own.share, own.turn_share, random)}
    return {index: _draw_from(onsets, random) for index, onsets in sorted(chosen.items())}


def _onsets(speech: Speech, settings: BargeInSettings, earliest: int) -> list[range]:
    """When, in 16 kHz samples from its start, a user can barge into this speech; nothing if it is too short.

    By the cut the agent has said at least one whole word, is in the midst of another (in a pause it would seem to have
    fallen silent before), and it loses at least `MIN_LOST_S`.
    """

    def at(sample: int) -> int:
        return convert(sample, speech.rate, SOURCE_RATE)

    cut_off = to_samples(settings.cut_off_s, SOURCE_RATE)
    first_cut = earliest + cut_off
    last_cut = at(len(speech.samples)) - to_samples(MIN_LOST_S, SOURCE_RATE)
    ranges = [
        range(max(first_cut, at(word.start) + to_samples(UNDER_WAY_S, SOURCE_RATE)), min(last_cut, at(word.end)) + 1)
        for word in speech.words[1:]
    ]
    return [range(cuts.start - cut_off, cuts.stop - cut_off) for cuts in ranges if cuts]


def _said(speech: Speech, number: int) -> int:
    """When so many of its words are said, in 16 kHz samples from its start."""
    end = speech.words[number - 1].end if 0 < number <= len(speech.words) else len(speech.samples)
    return convert_up(end, speech.rate, SOURCE_RATE)


def _soon_after(onsets: list[range], said: int) -> list[range]:
    """The first of these times that are no earlier than that, and not long after each other."""
    for own in onsets:
        if later := range(max(own.start, said), own.stop):
            return [later[: to_samples(REACTION_S, SOURCE_RATE) + 1]]
    return []


def _draw_from(ranges: list[range], random: random.Random) -> int:
    """One number out of all ranges, each as likely as any other."""
    position = random.randrange(sum(map(len, ranges)))
    for numbers in ranges:
        if position < len(numbers):
            return numbers[position]
        position -= len(numbers)
    raise AssertionError("the position lies in one of the ranges")


def choose_pauses(
    spoken: SpokenDialogue, settings: PauseSettings, profile: Profile | None, random: random.Random
) -> dict[int, tuple[tuple[int, int], ...]]:
    """Where users pause, and for how long: {turn index: (word before which, samples at 16 kHz) in order}. A profile has its own
    number of them for each minute of speech, and their lengths."""
    possible: dict[int, list[int]] = {}
    for index, (turn, speech) in enumerate(zip(spoken.dialogue.turns, spoken.speech, strict=True)):
        if turn.speaker == "user" and turn.event not in ASIDES:
            # After a sentence's end, silence says that the turn may be over: nobody could tell such a pause from a gap.
            inside = [n for n, w in enumerate(speech.words[:-1], 1) if not w.text.endswith(SENTENCE_END)]
            if inside:
                possible[index] = inside
    if profile:
        return _pauses_of(profile, spoken, possible, random)
    chosen = {}
    for index in picked([*possible], settings.share, settings.turn_share, random):
        number = min(-(-len(spoken.speech[index].words) // settings.words), len(possible[index]))
        places = sorted(random.sample(possible[index], number))
        chosen[index] = tuple((place, settings.length_s.draw(random, SOURCE_RATE)) for place in places)
    return chosen


def _pauses_of(
    profile: Profile, spoken: SpokenDialogue, possible: dict[int, list[int]], random: random.Random
) -> dict[int, tuple[tuple[int, int], ...]]:
    speech = (spoken.speech[index] for index in possible)
    expected = profile.pauses_per_minute * sum(len(one.samples) / one.rate for one in speech) / 60
    places = [(index, place) for index, inside in possible.items() for place in inside]
    chosen: dict[int, list[tuple[int, int]]] = {}
    for index, place in sorted(random.sample(places, min(poisson(expected, random), len(places)))):
        length = to_samples(quantile(profile.pause_s, random.random()), SOURCE_RATE)
        chosen.setdefault(index, []).append((place, length))
    return {index: tuple(pauses) for index, pauses in chosen.items()}


def choose_tails(spoken: SpokenDialogue, settings: TailSettings, random: random.Random) -> dict[int, int]:
    """How much later the agent starts where it is unsure: {turn index: samples at 16 kHz}; after a question half as often, whose
    end is plain to hear."""
    tails = {}
    for index, (before, turn) in enumerate(pairwise(spoken.dialogue.turns), 1):
        if settings.share and turn.speaker == "agent" and before.speaker == "user" and turn.gap_s is None:
            certain = before.spoken.rstrip().endswith("?")
            if random.random() < settings.share * (0.5 if certain else 1.0):
                tails[index] = settings.length_s.draw(random, SOURCE_RATE)
    return tails
