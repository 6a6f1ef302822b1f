"""Sampling follows the profile's distribution, and dealing and scheduling preserve it."""

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from material import spoken_noise

from manifests.errors import RequestError
from manifests.frames import SOURCE_RATE, TARGET_RATE, convert
from stages.schedule import Schedule, ScheduleSettings
from stages.timing.barge_ins import BargeIn
from stages.timing.deal import Change, deal
from stages.timing.measure import Timing
from stages.timing.offsets import laid_turns
from stages.timing.profile import load_profile, quantile, ranks
from stages.timing.sources import of_timeline


@pytest.mark.parametrize("name", ["human", "meeting"])
def test_bundled_profiles_are_drawn_from_as_they_say(name: str) -> None:
    profile = load_profile(name)
    chance = random.Random(0)
    offsets = np.array([profile.offset_s(chance.random()) for _ in range(20_000)])
    assert (offsets < 0).mean() == pytest.approx(profile.overlap_share, abs=0.01)
    for values, wanted in ((offsets[offsets >= 0], profile.gap_s), (-offsets[offsets < 0], profile.overlap_s)):
        assert np.quantile(values, [0.25, 0.5, 0.75]) == pytest.approx([wanted[5], wanted[10], wanted[15]], rel=0.05)


def test_ranks_are_even_over_all_and_similar_within_a_speaker() -> None:
    chance = random.Random(0)
    drawn = np.array([ranks(6, chance) for _ in range(4_000)])
    assert np.quantile(drawn, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.02)
    assert 0.15 < np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1] < 0.35


def test_quantiles_are_interpolated_linearly() -> None:
    seconds = [float(number) for number in range(21)]
    assert [quantile(seconds, rank) for rank in (0, 0.5, 0.525, 1, 2)] == [0, 10, 10.5, 20, 20]


def test_overlaps_go_where_there_is_room_and_short_gaps_to_questions() -> None:
    changes = [
        Change("Tell me more.", "well " * 40, 0.0),
        Change("Are you there?", "Yes.", 0.0),
        Change("I see.", "Good then.", 2.0),
    ]
    waits = np.zeros(3)
    for seed in range(200):
        dealt = deal(changes, [0.2, -1.5, 1.0], random.Random(seed))
        assert sorted(dealt) == [-1.5, 0.2, 1.0] and dealt[2] == -1.5
        waits += dealt
    assert waits[1] < waits[0] / 2
    assert sorted(deal(changes[:2], [-0.5, 0.1], random.Random(0))) == [0.1, 0.5], "without room it becomes a gap"
    assert sorted(deal(changes[1:], [-2.5, 0.1], random.Random(0))) == [-2.0, 0.1], "with too little it is shortened"


TALK = (
    ("user", 3.0, 9),
    ("agent", 4.0, 12),
    ("user", 2.5, 8),
    ("agent", 5.0, 15),
    ("user", 3.0, 9),
    ("agent", 4.0, 12),
)


def scheduled(settings: dict, number: int = 60, talk: tuple = TALK) -> list:
    made = spoken_noise(*talk)
    spoken = [replace(made, dialogue=replace(made.dialogue, id=f"d{i}")) for i in range(number)]
    return Schedule(ScheduleSettings.model_validate(settings), 0).process(spoken)


def measure(timelines: list, merge_s: float = 0.2) -> Timing:
    timing = Timing()
    for timeline in timelines:
        timing.add(of_timeline(timeline), merge_s)
    return timing


SHORT = (
    ("user", 1.6, 5),
    ("agent", 3.5, 10),
    ("user", 0.9, 3),
    ("agent", 2.0, 6),
    ("user", 2.2, 7),
    ("agent", 5.0, 15),
    ("user", 3.0, 9),
    ("agent", 1.4, 4),
)
"""Many of its changes of speaker have no room for an overlap of middling length."""


@pytest.mark.parametrize("talk", [TALK, SHORT])
@pytest.mark.parametrize("name", ["meeting", "human"])
def test_a_timeline_by_a_profile_measures_as_the_profile(name: str, talk: tuple) -> None:
    wanted = load_profile(name)
    settings = {"profile": name, "agent_overlaps": True, "barge_in": {"share": 0}}
    found = measure(scheduled(settings, 500, talk), wanted.merge_s).profile("", wanted.merge_s)
    quartiles = [5, 10, 15]
    for figure in ("gap_s", "overlap_s", "pause_s"):
        mine, theirs = getattr(found, figure), getattr(wanted, figure)
        assert [mine[at] for at in quartiles] == pytest.approx([theirs[at] for at in quartiles], rel=0.1), figure
    assert found.overlap_share == pytest.approx(wanted.overlap_share, abs=0.03)
    assert found.contained_per_minute == 0, "an overlap never puts one turn inside another"


def test_speakers_never_overlap_themselves() -> None:
    turns = (("user", 2.0, 6), ("agent", 8.0, 24)) * 3
    made = spoken_noise(*turns, ("user", 0.5, 1), ("user", 2.0, 6))
    own = made.dialogue.turns
    said = (*own[:6], replace(own[6], event="backchannel", text=""), *own[7:])
    spoken = [replace(made, dialogue=replace(made.dialogue, id=f"d{i}", turns=said)) for i in range(150)]
    settings = {"profile": "meeting", "agent_overlaps": True, "barge_in": {"share": 0.5, "earliest_s": 0.3}}
    timelines = Schedule(ScheduleSettings.model_validate(settings), 0).process(spoken)
    for timeline in timelines:
        for speaker in ("user", "agent"):
            own = sorted((one.start, one.end) for one in timeline.segments if one.speaker == speaker)
            assert all(before[1] < after[0] for before, after in pairwise(own))
    events = Counter(one.event for timeline in timelines for one in timeline.segments)
    assert events["backchannel"] > 100 and events["barge_in"] > 50


def test_overlaps_stop_at_pauses_asides_and_barge_ins() -> None:
    spoken = spoken_noise(("user", 4.0, 8), ("agent", 6.0, 12), ("user", 2.0, 4))
    seconds = SOURCE_RATE
    plain = laid_turns(spoken, {}, {}, {})
    assert [round(turn.open_s, 2) for turn in plain] == [3.6, 5.4, 1.8] == [round(turn.free_s, 2) for turn in plain]
    paused = laid_turns(spoken, {}, {}, {0: ((2, seconds), (7, seconds)), 2: ((1, seconds),)})
    assert [round(turn.open_s, 2) for turn in paused] == [0.42, 5.4, 1.35]
    assert [round(turn.free_s, 2) for turn in paused] == [0.9, 5.4, 0.42]
    cut = laid_turns(spoken, {}, {1: BargeIn(seconds, round(1.64 * TARGET_RATE))}, {})
    assert (round(cut[1].free_s, 2), round(cut[2].open_s, 2)) == (0.76, 0.96)


def test_by_default_the_agent_waits_for_the_end_of_the_users_turn() -> None:
    overlapped = 0
    for timeline in scheduled({"profile": "meeting"}):
        ends = 0.0
        for segment in timeline.segments:
            rate = SOURCE_RATE if segment.speaker == "user" else TARGET_RATE
            if segment.speaker == "agent":
                assert segment.start / rate >= ends
            overlapped += segment.speaker == "user" and segment.event == "turn" and segment.start / rate < ends
            ends = max(ends, segment.end / rate)
    assert overlapped > 20


def test_the_agent_pauses_if_requested_and_its_cuts_stay_where_they_are() -> None:
    fixed = {"profile": "human", "barge_in": {"share": 1}}
    without, paused = (scheduled(fixed | {"agent_pauses": pauses}, 200) for pauses in (False, True))
    assert not [p for timeline in without for s in timeline.segments if s.speaker == "agent" for p in s.pauses]
    shifts = 0
    for plain, timeline in zip(without, paused, strict=True):
        for before, after in pairwise(timeline.segments):
            if after.event != "barge_in":
                continue
            cut_s = before.end / TARGET_RATE - after.start / SOURCE_RATE
            assert before.cut_off and cut_s == pytest.approx(0.64, abs=1e-3)
            (same,) = [segment for segment in plain.segments if segment.turn == before.turn]
            later = sum(pause.length for pause in before.pauses)
            assert before.length == same.length + later, "the same speech is heard"
            onset = convert(after.start, SOURCE_RATE, TARGET_RATE) - before.start
            assert all(pause.end <= onset for pause in before.pauses)
            assert [word.text for word in before.words] == [word.text for word in same.words]
            assert before.cut_word and same.cut_word and before.cut_word.start == same.cut_word.start + later
            shifts += later > 0
    assert shifts > 20
    found = measure(paused, 0.05).profile("", 0.05)
    assert found.pauses_per_minute == pytest.approx(7.7, rel=0.25)


def test_an_agents_gap_with_a_tail() -> None:
    def gaps(share: float) -> np.ndarray:
        settings = {"agent_gap_s": 0.4, "agent_tail": {"share": share}, "barge_in": {"share": 0}}
        return np.array(measure(scheduled(settings, 40)).gaps)

    plain, late = gaps(0), gaps(1)
    assert plain.max() < 1.3 and 0.5 < late.max() < 1.9
    assert np.median(late) > np.median(plain) + 0.3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "There is no timing profile"),
        ("gap_s: [1]", "is not a timing profile"),
        ("a: [", "is not a timing profile"),
    ],
)
def test_an_invalid_profile_is_rejected(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RequestError, match=message):
        Schedule.check(ScheduleSettings(profile=str(path)))
