"""schedule: turns → timeline. Who is heard when, who is interrupted, and which words are really heard.

The paper's timing (arXiv 2505.15670, section 3) is the default: 0.64 s of silence before the agent speaks, and an agent
turn that the user barges into goes on for 0.64 s and then falls silent. What the paper leaves open (the share of
dialogues with a barge-in, where in the agent's turn it falls, the user's own gaps) is set here.

Two turns of one speaker never overlap, by construction: a turn starts after its speaker's last one has ended.
"""

import random
from collections.abc import Sequence

from pydantic import Field, model_validator

from manifests.frames import (
    FRAMES_PER_SECOND,
    SOURCE_FRAME,
    SOURCE_RATE,
    TARGET_FRAME,
    TARGET_RATE,
    convert,
    convert_up,
    frames_to_cover,
    to_samples,
)
from manifests.records import BadDialogue, Event, Rejected, Segment, Speech, SpokenDialogue, Timeline, Turn, Word
from stages.base import Settings, Stage, draw, reject

MIN_LOST_S = 0.24
"""A cut must take at least this much of the agent's turn, or nobody would hear that it was cut."""
UNDER_WAY_S = 0.06
"""A word that is cut has begun at least this long before."""


class Range(Settings):
    """Seconds drawn uniformly between two bounds."""

    low: float = Field(ge=0, le=60)
    high: float = Field(ge=0, le=60)

    @model_validator(mode="after")
    def _in_order(self) -> "Range":
        if self.low > self.high:
            raise ValueError("'low' must not be above 'high'")
        return self

    def draw(self, random: random.Random, rate: int) -> int:
        """A duration in samples of `rate`."""
        return random.randint(to_samples(self.low, rate), to_samples(self.high, rate))


class BargeInSettings(Settings):
    share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the dialogues with an agent turn long enough that hold a barge-in",
    )
    turn_share: float = Field(
        default=0.3, ge=0, le=1, description="in those, share of the long enough agent turns barged into; one at least"
    )
    cut_off_s: float = Field(
        default=0.64, ge=0.08, le=10, description="the agent falls silent this long after the user has started"
    )
    earliest_s: float = Field(default=0.8, ge=0, le=60, description="the agent has spoken at least this long before")


class ScheduleSettings(Settings):
    agent_gap_s: float = Field(default=0.64, ge=0, le=60, description="silence before the agent speaks")
    user_gap_s: Range = Field(default=Range(low=0.3, high=1.2), description="silence before the user speaks")
    lead_s: Range = Field(default=Range(low=0.2, high=1.0), description="silence before the first turn")
    tail_s: float = Field(default=0.8, ge=0, le=60, description="silence after the last turn, at least")
    max_dialogue_s: float = Field(default=600, gt=0, description="a dialogue that lasts longer is rejected")
    barge_in: BargeInSettings = BargeInSettings()


class Schedule(Stage):
    """Lay each spoken dialogue out in time."""

    Settings = ScheduleSettings
    settings: ScheduleSettings

    def process(self, records: Sequence[SpokenDialogue]) -> list[Timeline | Rejected]:
        return [self._schedule(spoken) for spoken in records]

    def _schedule(self, spoken: SpokenDialogue) -> Timeline | Rejected:
        dialogue = spoken.dialogue
        try:
            interrupted = choose_barge_ins(spoken, self.settings, draw(self.seed, dialogue.id, "barge_in"))
            return lay_out(spoken, interrupted, self.settings, draw(self.seed, dialogue.id, "gaps"))
        except BadDialogue as error:
            return reject(dialogue, "schedule", error)


def choose_barge_ins(spoken: SpokenDialogue, settings: ScheduleSettings, random: random.Random) -> dict[int, int]:
    """Which agent turns are barged into, and when: {turn index: samples at 16 kHz from its start to the user's}.

    What the input fixes (`event` of the user's turn) comes first; the recipe's shares decide on the rest. Raises
    `BadDialogue` where the input fixes a barge-in that can't be.
    """
    turns = spoken.dialogue.turns
    possible: dict[int, list[range]] = {}
    fixed: dict[int, list[range]] = {}
    for index in range(1, len(turns)):
        agent, user = turns[index - 1], turns[index]
        follows_agent = (agent.speaker, user.speaker) == ("agent", "user")
        onsets = _onsets(spoken.speech[index - 1], settings.barge_in) if follows_agent else []
        if user.event == "barge_in":
            if not onsets:
                message = f"Turn {index + 1} is to barge in, but no agent turn long enough to cut stands before it."
                raise BadDialogue("barge_in_impossible", message)
            fixed[index - 1] = onsets
        elif onsets and user.event is None and user.gap_s is None:
            possible[index - 1] = onsets
    chosen = dict(fixed)
    if possible and not fixed and random.random() < settings.barge_in.share:
        picked = [index for index in possible if random.random() < settings.barge_in.turn_share]
        for index in picked or [random.choice(list(possible))]:
            chosen[index] = possible[index]
    return {index: _draw_from(onsets, random) for index, onsets in sorted(chosen.items())}


def _onsets(speech: Speech, settings: BargeInSettings) -> list[range]:
    """When, in 16 kHz samples from its start, a user can barge into this speech; nothing if it is too short.

    By the cut the agent has said at least one whole word, is in the midst of another (in a pause it would seem to have
    fallen silent before), and it loses at least `MIN_LOST_S`.
    """

    def at(sample: int) -> int:
        return convert(sample, speech.rate, SOURCE_RATE)

    cut_off = to_samples(settings.cut_off_s, SOURCE_RATE)
    first_cut = to_samples(settings.earliest_s, SOURCE_RATE) + cut_off
    last_cut = at(len(speech.samples)) - to_samples(MIN_LOST_S, SOURCE_RATE)
    ranges = [
        range(max(first_cut, at(word.start) + to_samples(UNDER_WAY_S, SOURCE_RATE)), min(last_cut, at(word.end)) + 1)
        for word in speech.words[1:]
    ]
    return [range(cuts.start - cut_off, cuts.stop - cut_off) for cuts in ranges if cuts]


def _draw_from(ranges: list[range], random: random.Random) -> int:
    """One number out of all ranges, each as likely as any other."""
    position = random.randrange(sum(map(len, ranges)))
    for numbers in ranges:
        if position < len(numbers):
            return numbers[position]
        position -= len(numbers)
    raise AssertionError("the position lies in one of the ranges")


def lay_out(
    spoken: SpokenDialogue, barge_ins: dict[int, int], settings: ScheduleSettings, random: random.Random
) -> Timeline:
    """Place the turns one after the other; raises `BadDialogue` where the dialogue grows too long.

    Agent turns start on a frame boundary, after at least the gap that is asked for.
    """
    cut_off = to_samples(settings.barge_in.cut_off_s, SOURCE_RATE)
    segments: list[Segment] = []
    # `now` is where the conversation stands, in samples of the user's channel: nobody with the floor speaks before it.
    now = settings.lead_s.draw(random, SOURCE_RATE)
    agent_free = 0  # the first frame in which the agent may speak again: EOS and the next BOS need one each
    for index, (turn, speech) in enumerate(zip(spoken.dialogue.turns, spoken.speech, strict=True)):
        gap = _gap(turn, settings, random) if index else 0
        if turn.speaker == "agent":
            frame = max(frames_to_cover(now + gap, SOURCE_FRAME), agent_free)
            onset = barge_ins.get(index)
            heard = None if onset is None else convert(onset + cut_off, SOURCE_RATE, TARGET_RATE)
            segment = _segment(index, turn, speech, frame * TARGET_FRAME, TARGET_RATE, heard)
            now = convert_up(segment.end, TARGET_RATE, SOURCE_RATE)
            agent_free = frames_to_cover(segment.end, TARGET_FRAME) + 1
        elif index - 1 in barge_ins:
            start = segments[-1].start // TARGET_FRAME * SOURCE_FRAME + barge_ins[index - 1]
            segment = _segment(index, turn, speech, start, SOURCE_RATE, event="barge_in")
            now = max(now, segment.end)  # a short interjection may be over before the agent has fallen silent
        else:
            segment = _segment(index, turn, speech, now + gap, SOURCE_RATE)
            now = segment.end
        segments.append(segment)
    frames = max(frames_to_cover(now + to_samples(settings.tail_s, SOURCE_RATE), SOURCE_FRAME), agent_free)
    if frames > settings.max_dialogue_s * FRAMES_PER_SECOND:
        message = f"It lasts {frames * 0.08:.0f} s, over the {settings.max_dialogue_s:g} of schedule.max_dialogue_s."
        raise BadDialogue("dialogue_too_long", message)
    return Timeline(spoken, tuple(segments), frames)


def _gap(turn: Turn, settings: ScheduleSettings, random: random.Random) -> int:
    if turn.gap_s is not None:
        return to_samples(turn.gap_s, SOURCE_RATE)
    if turn.speaker == "agent":
        return to_samples(settings.agent_gap_s, SOURCE_RATE)
    return settings.user_gap_s.draw(random, SOURCE_RATE)


def _segment(
    index: int, turn: Turn, speech: Speech, start: int, rate: int, heard: int | None = None, event: Event = "turn"
) -> Segment:
    """A turn placed at `start`, in its channel's samples; `heard` cuts it to so many, and its words to those said whole."""
    full = convert_up(len(speech.samples), speech.rate, rate)
    length = full if heard is None else min(heard, full)
    words = []
    for word in speech.words:
        begin, end = convert(word.start, speech.rate, rate), convert(word.end, speech.rate, rate)
        if end > length:
            break
        words.append(Word(word.text, begin, end))
    text_full = " ".join(word.text for word in speech.words)
    return Segment(
        turn=index,
        speaker=turn.speaker,
        start=start,
        length=length,
        text=" ".join(word.text for word in words),
        text_full=text_full,
        words=tuple(words),
        event=event,
        cut_off=length < full,
    )
