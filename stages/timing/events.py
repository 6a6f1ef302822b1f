"""Where speakers pause, and where the agent waits longer."""

import random
from collections.abc import Mapping
from itertools import pairwise

from manifests.frames import SOURCE_RATE, to_samples
from manifests.records import ASIDES, Speech, SpokenDialogue, Turn
from manifests.words import SENTENCE_END
from stages.base import picked, poisson
from stages.timing.asides import Pauses, paused_by
from stages.timing.barge_ins import BargeIn
from stages.timing.profile import Profile, quantile
from stages.timing.settings import PauseSettings, ScheduleSettings, TailSettings


def choose_pauses(
    spoken: SpokenDialogue, schedule: ScheduleSettings, profile: Profile | None, random: random.Random
) -> Pauses:
    """Where users pause, and for how long. A profile has its own number of pauses per minute of speech, and their
    lengths; pauses after fillers are included. With a profile, the agent may pause as well."""
    settings = schedule.pause
    agent_pauses = profile is not None and schedule.agent_pauses
    possible: dict[int, list[int]] = {}
    chosen: dict[int, list[tuple[int, int]]] = {}
    for index, (turn, speech) in enumerate(zip(spoken.dialogue.turns, spoken.speech, strict=True)):
        if (turn.speaker == "user" or agent_pauses) and turn.event not in ASIDES and not turn.act:
            if behind := _behind_hesitations(turn, len(speech.words), settings, random):
                chosen[index] = [(place, _pause(settings, profile, random)) for place in behind]
            # After the end of a sentence, silence suggests that the turn may be over: such a pause would look like a gap.
            inside = [n for n, w in enumerate(speech.words[:-1], 1) if not w.text.endswith(SENTENCE_END)]
            if inside := [n for n in inside if n not in behind]:
                possible[index] = inside
    if profile:
        expected = profile.pauses_per_minute * sum(_seconds(spoken.speech[index]) for index in possible) / 60
        places = [(index, place) for index, inside in possible.items() for place in inside]
        wanted = max(poisson(expected, random) - sum(map(len, chosen.values())), 0)
        drawn = random.sample(places, min(wanted, len(places)))
    else:
        drawn = []
        for index in picked([*possible], settings.share, settings.turn_share, random):
            number = min(-(-len(spoken.speech[index].words) // settings.words), len(possible[index]))
            drawn += [(index, place) for place in random.sample(possible[index], number)]
    for index, place in sorted(drawn):
        chosen.setdefault(index, []).append((place, _pause(settings, profile, random)))
    return {index: tuple(sorted(pauses)) for index, pauses in sorted(chosen.items())}


def _behind_hesitations(turn: Turn, words: int, settings: PauseSettings, random: random.Random) -> list[int]:
    """The words before which there is a pause because the speaker has just said "um"."""
    said = (one.first + one.number for one in turn.disfluencies if one.kind == "hesitation")
    return [n for n in said if n < words and random.random() < settings.after_filler]


def _pause(settings: PauseSettings, profile: Profile | None, random: random.Random) -> int:
    if profile:
        return to_samples(quantile(profile.pause_s, random.random()), SOURCE_RATE)
    return settings.length_s.draw(random, SOURCE_RATE)


def _seconds(speech: Speech) -> float:
    return len(speech.samples) / speech.rate


def until_cut(pauses: Pauses, spoken: SpokenDialogue, barge_ins: Mapping[int, BargeIn]) -> Pauses:
    """The pauses, without those after a barge-in in the same turn.

    So such a turn never pauses between the user's onset and the cut. A codec that looks ahead this far sees that
    before the onset, but only few of the other turns, those about to pause, sound different."""
    return {
        index: tuple(
            pause
            for pause in own
            if index not in barge_ins or paused_by([pause], spoken.speech[index], barge_ins[index].onset)
        )
        for index, own in pauses.items()
    }


def choose_tails(spoken: SpokenDialogue, settings: TailSettings, random: random.Random) -> dict[int, int]:
    """How much later the agent starts when unsure: {turn index: samples at 16 kHz}; half as often after a question, whose
    end is easy to hear."""
    tails = {}
    for index, (before, turn) in enumerate(pairwise(spoken.dialogue.turns), 1):
        if settings.share and turn.speaker == "agent" and before.speaker == "user" and turn.gap_s is None:
            certain = before.spoken.rstrip().endswith("?")
            if random.random() < settings.share * (0.5 if certain else 1.0):
                tails[index] = settings.length_s.draw(random, SOURCE_RATE)
    return tails
