"""schedule: turns → timeline. Who speaks when, who is interrupted, and which words are actually heard.

The default is the paper's timing (arXiv 2505.15670, section 3): 0.64 s of silence before the agent speaks, and an agent
that the user barges into falls silent after 0.64 s. What the paper leaves open (the share of
dialogues with a barge-in, its place in the agent's turn, the user's gaps) is set here; so are pauses inside a
user's turn, which an agent must wait out, and backchannels, which it must talk through.

Two turns of one speaker never overlap, by construction: a turn starts after its speaker's last one has ended.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from manifests.frames import (
    FRAMES_PER_SECOND,
    SOURCE_FRAME,
    SOURCE_RATE,
    TARGET_FRAME,
    TARGET_RATE,
    convert,
    convert_up,
    frames_to_cover,
    nearest_frame,
    to_samples,
)
from manifests.identity import digest
from manifests.records import (
    DURING,
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
from stages.base import Stage, draw, reject
from stages.timing.asides import Pauses, impossible, paused_by, place_asides
from stages.timing.barge_ins import BargeIn, choose_barge_ins, without_impossible_waits
from stages.timing.events import choose_pauses, choose_tails, until_cut
from stages.timing.offsets import APART_S, choose_offsets, laid_turns
from stages.timing.profile import Profile, load_profile
from stages.timing.settings import PAPER, BargeInSettings, PauseSettings, Range, ScheduleSettings

__all__ = ["BargeInSettings", "PauseSettings", "Range", "Schedule", "ScheduleSettings", "lay_out"]

APART_FRAMES = round(APART_S * FRAMES_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Plan:
    """The timing of a dialogue's events. Keys are turn indices; times are in samples at 16 kHz."""

    asides: dict[int, int]
    """By index of a backchannel or false start: its start relative to the start of the other speaker's turn, not counting
    pauses in the agent's turn."""
    barge_ins: dict[int, BargeIn]
    """By index of the agent's turn, whose pauses are not counted."""
    pauses: Pauses
    offsets: dict[int, int] = field(default_factory=dict)
    """If a profile sets it: from the end of the previous turn to a turn's start, negative if the two overlap."""
    tails: dict[int, int] = field(default_factory=dict)
    """Additional delay of an agent's turn."""


class Schedule(Stage[SpokenDialogue, Timeline, ScheduleSettings]):
    """Place each spoken dialogue in time."""

    @classmethod
    def check(cls, settings: ScheduleSettings) -> None:
        _profile_of(settings)

    @cached_property
    def profile(self) -> Profile | None:
        return _profile_of(self.settings)

    def made_by(self) -> dict[str, str]:
        return {} if self.profile is None else {"profile": digest(self.profile.model_dump())}

    def process(self, records: Sequence[SpokenDialogue]) -> list[Timeline | Rejected]:
        return [self._schedule(spoken) for spoken in records]

    def _schedule(self, spoken: SpokenDialogue) -> Timeline | Rejected:
        dialogue = spoken.dialogue
        spoken = without_impossible_waits(spoken, self.settings)
        try:
            pauses = choose_pauses(spoken, self.settings, self.profile, draw(self.seed, dialogue.id, "pauses"))
            asides = place_asides(spoken, pauses, self.settings, draw(self.seed, dialogue.id, "backchannels"))
            barge_ins = choose_barge_ins(spoken, asides, self.settings, draw(self.seed, dialogue.id, "barge_in"))
            pauses = until_cut(pauses, spoken, barge_ins)
            offsets = {}
            if self.profile:
                chance = draw(self.seed, dialogue.id, "offsets")
                turns = laid_turns(spoken, asides, barge_ins, pauses)
                offsets = choose_offsets(turns, self.profile, self.settings.agent_overlaps, chance)
            tails = choose_tails(spoken, self.settings.agent_tail, draw(self.seed, dialogue.id, "tails"))
            plan = Plan(asides, barge_ins, pauses, offsets, tails)
            return lay_out(spoken, plan, self.settings, draw(self.seed, dialogue.id, "gaps"))
        except BadDialogue as error:
            return reject(dialogue, "schedule", error)


def _profile_of(settings: ScheduleSettings) -> Profile | None:
    return None if settings.profile == PAPER else load_profile(settings.profile)


def lay_out(spoken: SpokenDialogue, plan: Plan, settings: ScheduleSettings, random: random.Random) -> Timeline:
    """Place the turns one after the other; raises `BadDialogue` if the dialogue grows too long.

    Agent turns start on a frame boundary, after at least the requested gap.
    """
    turns = spoken.dialogue.turns
    segments: list[Segment] = []
    # `now` is the current time, in samples of the user's channel: no turn with the floor starts before it.
    now = settings.lead_s.draw(random, SOURCE_RATE)
    agent_free = 0  # the first frame in which the agent may speak again: EOS and the next BOS need one each
    user_free = 0  # the first free sample of the user
    before, floor_start = -1, 0  # the turn that has the floor, and its start
    for index, (turn, speech) in enumerate(zip(turns, spoken.speech, strict=True)):
        if turn.event in DURING:
            if index not in plan.asides:
                continue
            start = floor_start + plan.asides[index]
            if turn.speaker == "user":
                start += _paused(spoken, plan, before, plan.asides[index])
                segments.append(_segment(index, turn, speech, start, SOURCE_RATE, event=turn.event))
                user_free = segments[-1].end
            elif (frame := frames_to_cover(start, SOURCE_FRAME)) >= agent_free + APART_FRAMES:
                segments.append(_segment(index, turn, speech, frame * TARGET_FRAME, TARGET_RATE, event=turn.event))
                agent_free = frames_to_cover(segments[-1].end, TARGET_FRAME) + 1
            elif turn.text:  # the agent's previous turn extends this far into the user's
                raise impossible(spoken, index)
            continue
        gap = _gap(turns[before], turn, settings, random) + plan.tails.get(index, 0) if before >= 0 else 0
        if turn.speaker == "agent":
            frame = max(frames_to_cover(now + gap, SOURCE_FRAME), agent_free)
            if index in plan.offsets:
                frame = max(_frame_of(now, plan.offsets[index] + plan.tails.get(index, 0)), agent_free + APART_FRAMES)
            heard = plan.barge_ins[index].heard if index in plan.barge_ins else None
            waits = [(word, convert(length, SOURCE_RATE, TARGET_RATE)) for word, length in plan.pauses.get(index, ())]
            segment = _segment(index, turn, speech, frame * TARGET_FRAME, TARGET_RATE, heard, pauses=waits)
            floor_start = frame * SOURCE_FRAME
            now = convert_up(segment.end, TARGET_RATE, SOURCE_RATE)
            agent_free = frames_to_cover(segment.end, TARGET_FRAME) + 1
        else:
            interrupts = before in plan.barge_ins
            start = now + gap
            if interrupts:
                onset = plan.barge_ins[before].onset
                start = floor_start + onset + _paused(spoken, plan, before, onset)
            if index in plan.offsets:
                start = max(now + plan.offsets[index], user_free + to_samples(APART_S, SOURCE_RATE))
            event: Event = "barge_in" if interrupts else "side_talk" if turn.event == "side_talk" else "turn"
            segment = _segment(index, turn, speech, start, SOURCE_RATE, event=event, pauses=plan.pauses.get(index, ()))
            floor_start = segment.start
            user_free = segment.end
            now = max(now, segment.end)  # a short interjection may end before the agent falls silent
        segments.append(segment)
        before = index
    frames = max(frames_to_cover(now + to_samples(settings.tail_s, SOURCE_RATE), SOURCE_FRAME), agent_free)
    if frames > settings.max_dialogue_s * FRAMES_PER_SECOND:
        message = f"It lasts {frames * 0.08:.0f} s, over the {settings.max_dialogue_s:g} of schedule.max_dialogue_s."
        raise BadDialogue("dialogue_too_long", message)
    return Timeline(spoken, tuple(segments), frames)


def _paused(spoken: SpokenDialogue, plan: Plan, index: int, moment: int) -> int:
    return paused_by(plan.pauses.get(index, ()), spoken.speech[index], moment)


def _frame_of(now: int, offset: int) -> int:
    """The agent's frame nearest to a profile's offset: after the user's end if the offset is a gap, before it if it is an
    overlap."""
    frame, ended = nearest_frame(now + offset, SOURCE_FRAME), frames_to_cover(now, SOURCE_FRAME)
    return max(min(frame, ended - 1), 0) if offset < 0 else max(frame, ended)


def _gap(before: Turn, turn: Turn, settings: ScheduleSettings, random: random.Random) -> int:
    if turn.gap_s is not None:
        return to_samples(turn.gap_s, SOURCE_RATE)
    if before.act in ("wait", "stop") and turn.speaker == "user":
        return settings.hold_s.draw(random, SOURCE_RATE)
    if turn.act == "reprompt":
        return settings.silence_s.draw(random, SOURCE_RATE)
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
    pauses: Sequence[tuple[int, int]] = (),
) -> Segment:
    """A turn placed at `start`, in its channel's samples; `heard` cuts it to that many samples, and to the complete
    words.

    `pauses` (word before which, samples) delay what follows.
    """
    full = convert_up(len(speech.samples), speech.rate, rate)
    length = full if heard is None else min(heard, full)
    waits = dict(pauses)
    words, spans = [], []
    cut_word = None
    later = 0  # total of the pauses so far
    for number, word in enumerate(speech.words):
        begin, end = convert(word.start, speech.rate, rate), convert(word.end, speech.rate, rate)
        if number in waits and begin < length:
            # In the middle of the silence between the words, so that the label covers as much of the audible pause as possible.
            middle = (convert(speech.words[number - 1].end, speech.rate, rate) + begin) // 2
            spans.append(Span(middle + later, waits[number]))
            later += waits[number]
        if end > length:
            cut_word = Word(word.text, begin + later, length + later) if begin < length else None
            break
        words.append(Word(word.text, begin + later, end + later))
    return Segment(
        turn=index,
        speaker=turn.speaker,
        start=start,
        length=length + later,
        text_full=" ".join(word.text for word in speech.words),
        words=tuple(words),
        event=event,
        cut_off=length < full,
        cut_word=cut_word if length < full else None,
        pauses=tuple(spans),
    )
