"""Which agent turns the user barges into, when, and how the agent yields."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

from manifests.frames import SOURCE_RATE, TARGET_RATE, convert, to_samples
from manifests.records import ASIDES, DURING, BadDialogue, Speech, SpokenDialogue
from manifests.words import SENTENCE_END
from stages.base import picked
from stages.timing.asides import length_of, said, soon_after
from stages.timing.settings import BargeInSettings, ScheduleSettings

MIN_LOST_S = 0.24
"""A cut must remove at least this much of the agent's turn, or it would not be audible."""
UNDER_WAY_S = 0.06
"""A word that is cut started at least this long before the cut."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The user's onset from the start of the agent's turn, in samples at 16 kHz, and the audible part of the turn, in samples at
    22.05 kHz."""

    onset: int
    heard: int

    @property
    def cut_off_s(self) -> float:
        """From the user's onset to the agent's silence."""
        return self.heard / TARGET_RATE - self.onset / SOURCE_RATE


def choose_barge_ins(
    spoken: SpokenDialogue, asides: dict[int, int], settings: ScheduleSettings, random: random.Random
) -> dict[int, BargeIn]:
    """The barge-ins, by index of the agent's turn.

    Barge-ins set by the input or a director (`event` of the user's turn) or added by `speak` come first; the recipe's
    shares decide on the rest, unless the input or a director has set any. Raises `BadDialogue` if the input sets an
    impossible barge-in."""
    turns, own = spoken.dialogue.turns, settings.barge_in
    possible: dict[int, list[range]] = {}
    chosen: dict[int, list[range]] = {}
    before, earliest = -1, 0  # the turn that has the floor, and the earliest time to barge into it
    for index, user in enumerate(turns):
        if user.event in DURING:
            if index in asides:
                earliest = asides[index] + length_of(spoken.speech[index]) + to_samples(own.earliest_s, SOURCE_RATE)
            continue
        follows_agent = before >= 0 and (turns[before].speaker, user.speaker) == ("agent", "user")
        if user.event == "barge_in":
            onsets = _onsets(spoken.speech[before], own, earliest, _until(spoken, index)) if follows_agent else []
            if user.after_words is not None:
                soon = soon_after(onsets, said(spoken.speech[before], user.after_words))
                onsets = [soon] if soon else []
            if onsets:
                chosen[before] = onsets
            elif user.after_words is None and not user.may_wait:
                message = f"Turn {index + 1} is a barge-in, but the agent turn before it is not long enough to cut."
                raise BadDialogue("barge_in_impossible", message)
        elif follows_agent and (user.event, user.gap_s) == (None, None):
            possible[before] = _onsets(spoken.speech[before], own, earliest)
        before, earliest = index, to_samples(own.earliest_s, SOURCE_RATE)
    possible = {index: onsets for index, onsets in possible.items() if onsets}
    if not any(turn.event == "barge_in" and (turn.text or not turn.act) for turn in turns):
        drawn = picked([*possible], own.share, own.turn_share, random)
        agents = [i for i, turn in enumerate(turns) if turn.speaker == "agent" and turn.event not in ASIDES]
        for index, following in pairwise(agents):
            if (
                index in drawn
                and following in possible
                and following not in drawn
                and own.again
                and random.random() < own.again
            ):
                drawn.append(following)
        chosen |= {index: _placed(possible[index], spoken.speech[index], own, random) for index in drawn}
    return {
        index: _yielded(_draw_from(onsets, random), spoken.speech[index], own, random)
        for index, onsets in sorted(chosen.items())
    }


def without_impossible_waits(spoken: SpokenDialogue, settings: ScheduleSettings) -> SpokenDialogue:
    """Without the turns added by `speak` in which the user tells the agent to wait, if the agent's turn is too short to
    be cut there."""
    turns, left_out = spoken.dialogue.turns, set()
    earliest = to_samples(settings.barge_in.earliest_s, SOURCE_RATE)
    for index, turn in enumerate(turns):
        if turn.act in ("wait", "stop") and not turn.text:
            agent = spoken.speech[_before(spoken, index)]
            if not _onsets(agent, settings.barge_in, earliest, _until(spoken, index)):
                left_out |= {index, *_resumed_by(spoken, index)}
    if not left_out:
        return spoken
    kept = [index for index in range(len(turns)) if index not in left_out]
    return replace(
        spoken,
        dialogue=replace(spoken.dialogue, turns=tuple(turns[index] for index in kept)),
        speech=tuple(spoken.speech[index] for index in kept),
    )


def _before(spoken: SpokenDialogue, index: int) -> int:
    """The previous turn that has the floor."""
    return next(n for n in reversed(range(index)) if spoken.dialogue.turns[n].event not in DURING)


def _resumed_by(spoken: SpokenDialogue, wait: int) -> tuple[int, ...]:
    """The turns after a "wait" that belong to it: the user's "go on", and the agent's resumed turn."""
    behind = [turn.act for turn in spoken.dialogue.turns[wait + 1 : wait + 3]]
    return (wait + 1, wait + 2) if behind == ["go_on", "resume"] else ()


def _until(spoken: SpokenDialogue, barge_in: int) -> range | None:
    """The words that the cut may fall into if the agent resumes: those of the sentence at which it
    resumes, so that nothing of the turn is lost. None: any."""
    resumed = _resumed_by(spoken, barge_in)
    if not resumed:
        return None
    both = _before(spoken, barge_in), resumed[1]
    words, again = ([word.text for word in spoken.speech[index].words] for index in both)
    if words[-len(again) :] != again:
        return None
    first = len(words) - len(again)
    return range(first, first + 1 + sum(1 for _ in takewhile(lambda word: not word.endswith(SENTENCE_END), again)))


def _onsets(speech: Speech, settings: BargeInSettings, earliest: int, within: range | None = None) -> list[range]:
    """The times, in 16 kHz samples from its start, at which a user can barge into this speech; empty if it is too short.

    At the cut, the agent has said at least one complete word, is in the middle of another one (in a pause, it would seem
    already silent), which is `within` if given, and loses at least `MIN_LOST_S`.
    """

    def at(sample: int) -> int:
        return convert(sample, speech.rate, SOURCE_RATE)

    cut_off = to_samples(settings.cut_off_s, SOURCE_RATE)
    first_cut = earliest + cut_off
    last_cut = at(len(speech.samples)) - to_samples(MIN_LOST_S, SOURCE_RATE)
    ranges = [
        range(max(first_cut, at(word.start) + to_samples(UNDER_WAY_S, SOURCE_RATE)), min(last_cut, at(word.end)) + 1)
        for number, word in enumerate(speech.words)
        if number and (within is None or number in within)
    ]
    return [range(cuts.start - cut_off, cuts.stop - cut_off) for cuts in ranges if cuts]


def _placed(onsets: list[range], speech: Speech, settings: BargeInSettings, random: random.Random) -> list[range]:
    """The possible onsets; only those in the first or last third of the agent's turn for an early or late barge-in, if
    there are any."""
    if not settings.early + settings.late:
        return onsets
    place, length = random.random(), length_of(speech)
    if place < settings.early:
        third = range(0, length // 3)
    elif place < settings.early + settings.late:
        third = range(2 * length // 3, length)
    else:
        return onsets
    inside = [range(max(own.start, third.start), min(own.stop, third.stop)) for own in onsets]
    return [own for own in inside if own] or onsets


def _draw_from(ranges: Sequence[range], random: random.Random) -> int:
    """A uniformly random number from all ranges."""
    position = random.randrange(sum(map(len, ranges)))
    for numbers in ranges:
        if position < len(numbers):
            return numbers[position]
        position -= len(numbers)
    raise AssertionError("the position lies in one of the ranges")


def _yielded(onset: int, speech: Speech, settings: BargeInSettings, random: random.Random) -> BargeIn:
    """The agent stops in the middle of a word, or finishes it first if enough of the turn follows."""
    heard = convert(onset + to_samples(settings.cut_off_s, SOURCE_RATE), SOURCE_RATE, TARGET_RATE)
    if settings.finish_word and random.random() < settings.finish_word:
        ends = (convert(word.end, speech.rate, TARGET_RATE) for word in speech.words[:-1])
        end = next((end for end in ends if end >= heard), None)
        rest = to_samples(MIN_LOST_S, TARGET_RATE)
        if end is not None and end + rest <= convert(len(speech.samples), speech.rate, TARGET_RATE):
            heard = end
    return BargeIn(onset, heard)
