"""The report's timing table: a profile's targets next to the corpus's figures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpus_material import make_corpus
from material import spoken_noise

from pipeline.report.page import report
from pipeline.report.timing import timing_rows
from stages.render import Render, RenderSettings
from stages.schedule import Schedule, ScheduleSettings
from stages.timing.measure import Timing
from stages.timing.profile import load_profile
from stages.timing.sources import of_timeline


def test_the_profiles_targets_are_next_to_the_corpuss_figures(tmp_path: Path) -> None:
    made = spoken_noise(*(("user", 1.5, 5), ("agent", 2.5, 8)) * 4)
    spoken = [replace(made, dialogue=replace(made.dialogue, id=f"d{i}")) for i in range(20)]
    settings = {"profile": "human", "agent_overlaps": True, "barge_in": {"share": 0}}
    timelines = Schedule(ScheduleSettings.model_validate(settings), 0).process(spoken)
    records = Render(RenderSettings(), 0).process(timelines)
    overrides = ["schedule.profile=human", "schedule.agent_overlaps=true", "schedule.barge_in.share=0"]
    corpus = make_corpus(tmp_path, records, overrides)

    timing, profile = Timing(), load_profile("human")
    for timeline in timelines:
        timing.add(of_timeline(timeline), profile.merge_s)
    rows = {row.title: row for row in timing_rows(corpus)}
    for title, target, found in (
        ("gap", profile.gap_s, timing.gaps),
        ("overlap", profile.overlap_s, timing.overlaps),
        ("pause", profile.pause_s, timing.pauses),
    ):
        assert rows[title].target == (target[5], target[10], target[15])
        assert rows[title].actual == pytest.approx(np.quantile(found, [0.25, 0.5, 0.75]), abs=1e-3)
        assert rows[title].n == len(found)
    share = len(timing.overlaps) / (len(timing.overlaps) + len(timing.gaps))
    assert rows["share of overlaps"][1:3] == ((profile.overlap_share,), (pytest.approx(share),))
    user = [one for timeline in timelines for one in timeline.segments if one.speaker == "user"]
    spoken_s = sum(one.length - sum(pause.length for pause in one.pauses) for one in user) / 16_000
    pauses = rows["pauses per minute of the user's speech"]
    assert pauses.target == (7.7,) and pauses.actual == (pytest.approx(60 * len(timing.pauses) / spoken_s, rel=0.01),)
    assert rows["backchannels and false starts per minute"][1:] == ((3.9,), (0.0,), 0)
    page = report(corpus)
    assert all(f"<tr><th>{title}</th>" in page.replace("&#39;", "'") for title in rows)


def test_without_a_profile_there_is_no_such_table(small_corpus) -> None:
    assert timing_rows(small_corpus) == []
