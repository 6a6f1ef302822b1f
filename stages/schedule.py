"""schedule: turns → timeline. Who is heard when, who is interrupted, and which words are really heard.

The paper's timing (arXiv 2505.15670, section 3) is the default: 0.64 s of silence before the agent speaks, and an agent
turn that the user barges into goes on for 0.64 s and then falls silent. What the paper leaves open (the share of
dialogues with a barge-in, where in the agent's turn it falls, the user's own gaps) is set here; so are pauses inside a
user's turn, which an agent has to wait out, and backchannels, which it has to talk through.

Two turns of one speaker never overlap, by construction: a turn starts after its speaker's last one has ended.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

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
from manifests.records import (
    BadDialogue,
    Event,
    Rejected,
    Segment,
    Span,
    Speech,
    SpokenDialogue,
    Timeline,
    Turn,
    Word,
)
from stages.base import Settings, Stage, draw, reject

MIN_LOST_S = 0.24
"""A cut must take at least this much of the agent's turn, or nobody would hear that it was cut."""
UNDER_WAY_S = 0.06
"""A word that is cut has begun at least this long before."""
AFTER_BACKCHANNEL_S = 1.5
"""The agent talks on for at least this long after a backchannel: whoever listens can tell that it did not stop for it."""
SENTENCE_END = (".", "!", "?")


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


class PauseSettings(Settings):
    """Pauses as speakers make them who look for a word: between two words of one sentence."""

    share: float = Field(default=0, ge=0, le=1, description="share of the dialogues in which the user pauses")
    turn_share: float = Field(default=0.5, ge=0, le=1, description="in those, share of the user's turns with pauses")
    words: int = Field(default=12, ge=2, description="a turn with pauses holds one for every so many words begun")
    length_s: Range = Field(default=Range(low=0.3, high=1.3), description="how long a pause lasts")


class ScheduleSettings(Settings):
    agent_gap_s: float = Field(default=0.64, ge=0, le=60, description="silence before the agent speaks")
    user_gap_s: Range = Field(default=Range(low=0.3, high=1.2), description="silence before the user speaks")
    lead_s: Range = Field(default=Range(low=0.2, high=1.0), description="silence before the first turn")
    tail_s: float = Field(default=0.8, ge=0, le=60, description="silence after the last turn, at least")
    max_dialogue_s: float = Field(default=600, gt=0, description="a dialogue that lasts longer is rejected")
    barge_in: BargeInSettings = BargeInSettings()
    pause: PauseSettings = PauseSettings()


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in a dialogue beyond its turns. Keys are turn indices, times samples at 16 kHz."""

    backchannels: dict[int, int]
    """Of the agent's turn: when each backchannel starts, by the backchannel's index."""
    barge_ins: dict[int, int]
    """From an agent turn's start to the user's onset, by the agent turn's index."""
    pauses: dict[int, tuple[tuple[int, int], ...]]
    """(word before which it falls, length) of each pause, by the user turn's index."""


class Schedule(Stage[SpokenDialogue, Timeline, ScheduleSettings]):
    """Lay each spoken dialogue out in time."""

    def process(self, records: Sequence[SpokenDialogue]) -> list[Timeline | Rejected]:
        return [self._schedule(spoken) for spoken in records]

    def _schedule(self, spoken: SpokenDialogue) -> Timeline | Rejected:
        dialogue = spoken.dialogue
        try:
            backchannels = place_backchannels(spoken, self.settings, draw(self.seed, dialogue.id, "backchannels"))
            plan = Plan(
                backchannels,
                choose_barge_ins(spoken, backchannels, self.settings, draw(self.seed, dialogue.id, "barge_in")),
                choose_pauses(spoken, self.settings.pause, draw(self.seed, dialogue.id, "pauses")),
            )
            return lay_out(spoken, plan, self.settings, draw(self.seed, dialogue.id, "gaps"))
        except BadDialogue as error:
            return reject(dialogue, "schedule", error)


def place_backchannels(spoken: SpokenDialogue, settings: ScheduleSettings, random: random.Random) -> dict[int, int]:
    """When each backchannel starts, in 16 kHz samples from its agent turn's start: {backchannel's index: samples}.

    One that `speak` put in and that finds no room is left out; raises `BadDialogue` for one that the input fixes.
    """
    placed: dict[int, int] = {}
    agent, free = -1, 0
    for index, (turn, speech) in enumerate(zip(spoken.dialogue.turns, spoken.speech, strict=True)):
        if turn.event != "backchannel":
            agent, free = (
                (index if turn.speaker == "agent" else -1),
                to_samples(settings.barge_in.earliest_s, SOURCE_RATE),
            )
            continue
        length = convert_up(len(speech.samples), speech.rate, SOURCE_RATE)
        last = -1
        if agent >= 0 and turn.speaker == "user":
            after = length + to_samples(AFTER_BACKCHANNEL_S, SOURCE_RATE)
            last = convert(len(spoken.speech[agent].samples), spoken.speech[agent].rate, SOURCE_RATE) - after
        if free <= last:
            placed[index] = random.randint(free, last)
            free = placed[index] + length + to_samples(settings.barge_in.earliest_s, SOURCE_RATE)
        elif turn.text:
            message = f"Turn {index + 1} is to be a backchannel, but no agent turn long enough stands before it."
            raise BadDialogue("backchannel_impossible", message)
    return placed


def choose_barge_ins(
    spoken: SpokenDialogue, backchannels: dict[int, int], settings: ScheduleSettings, random: random.Random
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
        if user.event == "backchannel":
            if index in backchannels:
                speech = spoken.speech[index]
                length = convert_up(len(speech.samples), speech.rate, SOURCE_RATE)
                earliest = backchannels[index] + length + to_samples(settings.barge_in.earliest_s, SOURCE_RATE)
            continue
        follows_agent = before >= 0 and (turns[before].speaker, user.speaker) == ("agent", "user")
        onsets = _onsets(spoken.speech[before], settings.barge_in, earliest) if follows_agent else []
        if user.event == "barge_in":
            if not onsets:
                message = f"Turn {index + 1} is to barge in, but no agent turn long enough to cut stands before it."
                raise BadDialogue("barge_in_impossible", message)
            fixed[before] = onsets
        elif onsets and user.event is None and user.gap_s is None:
            possible[before] = onsets
        before, earliest = index, to_samples(settings.barge_in.earliest_s, SOURCE_RATE)
    chosen = dict(fixed)
    if possible and not fixed and random.random() < settings.barge_in.share:
        picked = [index for index in possible if random.random() < settings.barge_in.turn_share]
        for index in picked or [random.choice(list(possible))]:
            chosen[index] = possible[index]
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


def _draw_from(ranges: list[range], random: random.Random) -> int:
    """One number out of all ranges, each as likely as any other."""
    position = random.randrange(sum(map(len, ranges)))
    for numbers in ranges:
        if position < len(numbers):
            return numbers[position]
        position -= len(numbers)
    raise AssertionError("the position lies in one of the ranges")


def choose_pauses(
    spoken: SpokenDialogue, settings: PauseSettings, random: random.Random
) -> dict[int, tuple[tuple[int, int], ...]]:
    """Where users pause, and for how long: {turn index: (word before which, samples at 16 kHz) in order}."""
    possible: dict[int, list[int]] = {}
    for index, (turn, speech) in enumerate(zip(spoken.dialogue.turns, spoken.speech, strict=True)):
        if turn.speaker == "user" and turn.event != "backchannel":
            # After a sentence's end, silence says that the turn may be over: nobody could tell such a pause from a gap.
            inside = [n for n, w in enumerate(speech.words[:-1], 1) if not w.text.endswith(SENTENCE_END)]
            if inside:
                possible[index] = inside
    if not possible or random.random() >= settings.share:
        return {}
    picked = [index for index in possible if random.random() < settings.turn_share] or [random.choice(list(possible))]
    chosen = {}
    for index in picked:
        number = min(-(-len(spoken.speech[index].words) // settings.words), len(possible[index]))
        places = sorted(random.sample(possible[index], number))
        chosen[index] = tuple((place, settings.length_s.draw(random, SOURCE_RATE)) for place in places)
    return chosen


def lay_out(spoken: SpokenDialogue, plan: Plan, settings: ScheduleSettings, random: random.Random) -> Timeline:
    """Place the turns one after the other; raises `BadDialogue` where the dialogue grows too long.

    Agent turns start on a frame boundary, after at least the gap that is asked for.
    """
    cut_off = to_samples(settings.barge_in.cut_off_s, SOURCE_RATE)
    segments: list[Segment] = []
    # `now` is where the conversation stands, in samples of the user's channel: nobody with the floor speaks before it.
    now = settings.lead_s.draw(random, SOURCE_RATE)
    agent_free = 0  # the first frame in which the agent may speak again: EOS and the next BOS need one each
    before, agent_start = -1, 0  # the turn that has the floor, and where the last agent turn starts
    for index, (turn, speech) in enumerate(zip(spoken.dialogue.turns, spoken.speech, strict=True)):
        if turn.event == "backchannel":
            if index in plan.backchannels:
                start = agent_start + plan.backchannels[index]
                segments.append(_segment(index, turn, speech, start, SOURCE_RATE, event="backchannel"))
            continue
        gap = _gap(turn, settings, random) if before >= 0 else 0
        if turn.speaker == "agent":
            frame = max(frames_to_cover(now + gap, SOURCE_FRAME), agent_free)
            onset = plan.barge_ins.get(index)
            heard = None if onset is None else convert(onset + cut_off, SOURCE_RATE, TARGET_RATE)
            segment = _segment(index, turn, speech, frame * TARGET_FRAME, TARGET_RATE, heard)
            agent_start = frame * SOURCE_FRAME
            now = convert_up(segment.end, TARGET_RATE, SOURCE_RATE)
            agent_free = frames_to_cover(segment.end, TARGET_FRAME) + 1
        else:
            interrupts = before in plan.barge_ins
            start = agent_start + plan.barge_ins[before] if interrupts else now + gap
            event: Event = "barge_in" if interrupts else "turn"
            segment = _segment(index, turn, speech, start, SOURCE_RATE, event=event, pauses=plan.pauses.get(index, ()))
            now = max(now, segment.end)  # a short interjection may be over before the agent has fallen silent
        segments.append(segment)
        before = index
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
    index: int,
    turn: Turn,
    speech: Speech,
    start: int,
    rate: int,
    heard: int | None = None,
    event: Event = "turn",
    pauses: tuple[tuple[int, int], ...] = (),
) -> Segment:
    """A turn placed at `start`, in its channel's samples; `heard` cuts it to so many, and its words to those said whole.

    `pauses` (word before which, samples) push what follows them back.
    """
    full = convert_up(len(speech.samples), speech.rate, rate)
    length = full if heard is None else min(heard, full)
    waits = dict(pauses)
    words, spans = [], []
    later = 0  # by the pauses so far
    for number, word in enumerate(speech.words):
        begin, end = convert(word.start, speech.rate, rate), convert(word.end, speech.rate, rate)
        if end > length:
            break
        if number in waits:
            spans.append(Span(begin + later, waits[number]))
            later += waits[number]
        words.append(Word(word.text, begin + later, end + later))
    text_full = " ".join(word.text for word in speech.words)
    return Segment(
        turn=index,
        speaker=turn.speaker,
        start=start,
        length=length + later,
        text=" ".join(word.text for word in words),
        text_full=text_full,
        words=tuple(words),
        event=event,
        cut_off=length < full,
        pauses=tuple(spans),
    )
