"""The places of backchannels and false starts in the other speaker's turn."""

import random
from collections.abc import Sequence
from itertools import takewhile

from manifests.frames import FRAME_SECONDS, SOURCE_RATE, convert, convert_up, to_samples
from manifests.records import DURING, BadDialogue, Speech, SpokenDialogue
from stages.timing.settings import ScheduleSettings

Pauses = dict[int, tuple[tuple[int, int], ...]]
"""(word before which it falls, samples at 16 kHz) of each pause, by turn index."""

AFTER_BACKCHANNEL_S = 1.5
"""The agent keeps talking for at least this long after a backchannel, so that it audibly does not stop for it."""
AGENT_EARLIEST_S = 2.0
"""User speech before an agent's backchannel: by then, an interrupted agent has fallen silent."""
USER_GOES_ON_S = 1.0
"""Minimum user speech after an agent's backchannel."""
REACTION_S = 0.3
"""A reaction to certain words starts at most this long after them, if possible."""
AGENT_REACTION_S = (0.16, 0.48)
"""Delay of an agent's backchannel after the word that it responds to."""
PHRASE_END = (",", ";", ":", ".", "!", "?")


def place_asides(
    spoken: SpokenDialogue, pauses: Pauses, settings: ScheduleSettings, random: random.Random
) -> dict[int, int]:
    """The start of each backchannel or false start, in 16 kHz samples from its turn's start: {its index: samples}.

    Without room for it, one added by a stage is dropped, and one set in the input raises `BadDialogue`.
    """
    placed: dict[int, int] = {}
    apart = to_samples(settings.barge_in.earliest_s, SOURCE_RATE)
    turns = spoken.dialogue.turns
    holder, free = -1, 0  # the turn that has the floor, and the earliest time in it for another aside
    for index, turn in enumerate(turns):
        if turn.event not in DURING:
            holder, free = index, apart
            continue
        starts: Sequence[int] = ()
        if holder >= 0 and turns[holder].speaker != turn.speaker:
            if turn.speaker == "user":
                starts = range(free, _last_start(spoken, holder, index, apart) + 1)
                if turn.after_words is not None:
                    starts = soon_after([starts], said(spoken.speech[holder], turn.after_words))
            else:
                starts = _after_phrases(spoken, holder, index, pauses.get(holder, ()), free, random)
        if starts:
            placed[index] = random.choice(starts)
            free = placed[index] + length_of(spoken.speech[index]) + apart
        elif turn.text:
            raise impossible(spoken, index)
    return placed


def impossible(spoken: SpokenDialogue, index: int) -> BadDialogue:
    turn = spoken.dialogue.turns[index]
    kind = "backchannel" if turn.event == "backchannel" else "false start"
    other = "agent" if turn.speaker == "user" else "user"
    message = f"Turn {index + 1} is a {kind}, but the {other} turn before it is not long enough."
    return BadDialogue(f"{turn.event}_impossible", message)


def length_of(speech: Speech) -> int:
    """In samples at 16 kHz."""
    return convert_up(len(speech.samples), speech.rate, SOURCE_RATE)


def paused_by(pauses: Sequence[tuple[int, int]], speech: Speech, moment: int) -> int:
    """The total of a turn's pauses up to this much of its speech, in samples at 16 kHz."""
    begun = ((convert(speech.words[word].start, speech.rate, SOURCE_RATE), length) for word, length in pauses)
    return sum(length for start, length in begun if start <= moment)


def said(speech: Speech, number: int) -> int:
    """The end of this many of its words, in 16 kHz samples from its start."""
    end = speech.words[number - 1].end if 0 < number <= len(speech.words) else len(speech.samples)
    return convert_up(end, speech.rate, SOURCE_RATE)


def soon_after(starts: Sequence[range], moment: int) -> range:
    """The first of these times that are not before that moment and not far apart."""
    for own in starts:
        if later := range(max(own.start, moment), own.stop):
            return later[: to_samples(REACTION_S, SOURCE_RATE) + 1]
    return range(0)


def _last_start(spoken: SpokenDialogue, holder: int, index: int, apart: int) -> int:
    """The latest start for the user that leaves room for the following asides while the agent talks."""
    behind = takewhile(
        lambda pair: pair[0].event in DURING,
        zip(spoken.dialogue.turns[index + 1 :], spoken.speech[index + 1 :], strict=True),
    )
    room = sum(length_of(speech) + apart for _, speech in behind)
    agent = spoken.speech[holder]
    after = length_of(spoken.speech[index]) + to_samples(AFTER_BACKCHANNEL_S, SOURCE_RATE) + room
    return convert(len(agent.samples), agent.rate, SOURCE_RATE) - after


def _after_phrases(
    spoken: SpokenDialogue,
    holder: int,
    index: int,
    pauses: Sequence[tuple[int, int]],
    free: int,
    random: random.Random,
) -> list[int]:
    """The possible starts of the agent: after a user's phrase within the turn, or else after any word."""
    user, waits = spoken.speech[holder], dict(pauses)
    first = max(free, to_samples(AGENT_EARLIEST_S, SOURCE_RATE))
    # The agent starts on a frame, up to one later than drawn here. The remaining time is counted without pauses.
    rest = to_samples(USER_GOES_ON_S + FRAME_SECONDS, SOURCE_RATE) + length_of(spoken.speech[index])
    last = length_of(user) - rest
    phrases, words, later = [], [], 0
    for number, word in enumerate(user.words):
        later += waits.get(number, 0)
        start = convert(word.end, user.rate, SOURCE_RATE)
        start += random.randint(*(to_samples(seconds, SOURCE_RATE) for seconds in AGENT_REACTION_S))
        if first <= start + later and start <= last:
            words.append(start + later)
            if word.text.endswith(PHRASE_END) or number + 1 in waits:
                phrases.append(start + later)
    return phrases or words
