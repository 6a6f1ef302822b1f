from dataclasses import replace

import numpy as np
import pytest
from material import spoken_noise

from manifests.frames import SOURCE_FRAME, SOURCE_RATE, TARGET_FRAME, TARGET_RATE, convert
from manifests.records import DuplexDialogue
from stages.render import Render, RenderSettings
from stages.schedule import Schedule, ScheduleSettings


def test_both_channels_have_the_same_number_of_whole_frames(rendered):
    for record in rendered:
        assert len(record.user) == record.timeline.frames * SOURCE_FRAME
        assert len(record.agent) == record.timeline.frames * TARGET_FRAME
        assert record.user.dtype == record.agent.dtype == np.int16


def test_exact_silence_outside_segments_and_sound_inside(rendered):
    for record in rendered:
        for speaker, channel in (("user", record.user), ("agent", record.agent)):
            silent = np.ones(len(channel), dtype=bool)
            for segment in record.timeline.segments:
                if segment.speaker == speaker:
                    silent[segment.start : segment.end] = False
                    assert np.abs(channel[segment.start : segment.end]).max() > 1000
            assert not channel[silent].any()


def test_the_agent_audibly_falls_silent_one_cut_off_after_the_user_starts(rendered):
    measured = []
    for record in rendered:
        for agent, user in zip(record.timeline.segments, record.timeline.segments[1:], strict=False):
            if user.event == "barge_in":
                loud_user = np.flatnonzero(np.abs(record.user[user.start : user.end].astype(int)) > 300)[0] + user.start
                loud_agent = np.flatnonzero(np.abs(record.agent[: agent.end].astype(int)) > 300)[-1]
                following = record.agent[agent.end : agent.end + TARGET_RATE // 2]
                assert not following.any()
                measured.append(loud_agent / TARGET_RATE - loud_user / SOURCE_RATE)
    assert measured
    assert measured == pytest.approx([0.64] * len(measured), abs=0.08)


def test_no_click_at_the_edges_of_a_cut(rendered):
    for record in rendered:
        for segment in record.timeline.segments:
            if segment.cut_off:
                heard = record.agent[segment.start : segment.end].astype(int)
                assert abs(heard[-1]) < 100
                assert np.abs(np.diff(np.append(heard[-20:], 0))).max() < 1500


def test_levels_are_as_requested_and_nothing_clips(rendered):
    for record in rendered:
        speech = np.concatenate(
            [record.agent[s.start : s.end] for s in record.timeline.segments if s.speaker == "agent" and not s.cut_off]
        )
        level = 20 * np.log10(np.sqrt(np.mean((speech / 32768.0) ** 2)))
        assert level == pytest.approx(-21.5, abs=1.5)
        assert np.abs(record.agent.astype(int)).max() < 0.9 * 32768
        assert np.abs(record.user.astype(int)).max() < 0.9 * 32768


def test_a_level_that_would_clip_is_attenuated_as_a_whole():
    spoken = spoken_noise(("user", 1.0, 3), ("agent", 1.0, 3))
    spoken.speech[1].samples[100] = 32767  # one spike far above the rest
    timeline = Schedule(ScheduleSettings(), 0).process([spoken])[0]
    (record,) = Render(RenderSettings(agent_level_dbfs=-6), 0).process([timeline])
    assert np.abs(record.agent.astype(int)).max() == pytest.approx(0.89 * 32767, abs=40)
    sound = record.agent[record.agent != 0]
    assert (np.abs(sound) > 0.85 * 32767).sum() < 10


def test_users_differ_in_level_and_the_same_seed_gives_the_same_samples(timelines, rendered):
    peaks = {int(np.abs(record.user.astype(int)).max()) // 500 for record in rendered}
    assert len(peaks) > 3
    (again,) = Render(RenderSettings(), 0).process([timelines[4]])
    assert np.array_equal(again.user, rendered[4].user)


def test_a_pause_is_silent_and_speech_continues_where_it_stopped():
    spoken = spoken_noise(("user", 1.5, 5), ("agent", 2.0, 6))
    paused = {"share": 1, "turn_share": 1, "words": 3}
    records = [
        Render(RenderSettings(), 0).process(Schedule(ScheduleSettings(pause=p), 0).process([spoken]))[0]
        for p in ({"share": 0}, paused)
    ]
    plain, with_pauses = (r.timeline.segments[0] for r in records)
    keep = np.ones(with_pauses.length, dtype=bool)
    assert len(with_pauses.pauses) == 2
    for pause in with_pauses.pauses:
        keep[pause.start : pause.end] = False
    heard = records[1].user[with_pauses.start : with_pauses.end]
    assert not heard[~keep].any()
    same = heard[keep] == records[0].user[plain.start : plain.end]
    assert same.mean() > 0.98  # all but the fades at the pauses' edges


def test_noise_is_only_on_the_users_channel():
    spoken = spoken_noise(("user", 2.0, 5), ("agent", 2.0, 6))
    timeline = Schedule(ScheduleSettings(tail_s=20), 0).process([spoken])[0]
    settings = {"share": 1, "snr_db_low": 20, "snr_db_high": 20, "bursts_a_minute": 0}
    clean = Render(RenderSettings(), 3).process([timeline])[0]
    noisy = Render(RenderSettings(noise=settings), 3).process([timeline])[0]
    assert np.array_equal(noisy.agent, clean.agent)
    user = timeline.segments[0]

    def level(samples):
        return 20 * np.log10(np.sqrt(np.mean(np.square(samples.astype(float)))))

    assert level(clean.user[user.start : user.end]) - level(noisy.user[-SOURCE_RATE * 8 :]) == pytest.approx(20, abs=1)
    assert noisy.noise.snr_db == 20
    assert noisy.noise.kind in ("white", "pink", "brown", "hum")
    assert not noisy.noise.bursts


def test_noise_is_as_far_below_a_voice_that_its_peaks_keep_soft():
    spoken = spoken_noise(("user", 2.0, 5), ("agent", 2.0, 6))
    spoken.speech[0].samples[100] = 32767  # so that the voice can't reach the requested level
    timeline = Schedule(ScheduleSettings(tail_s=20), 0).process([spoken])[0]
    noise = {"share": 1, "snr_db_low": 20, "snr_db_high": 20, "bursts_a_minute": 0}
    loud = {"user_level_dbfs_low": -6, "user_level_dbfs_high": -6}
    clean, noisy = (Render(RenderSettings(**loud, **more), 3).process([timeline])[0] for more in ({}, {"noise": noise}))
    user = timeline.segments[0]
    speech, background = clean.user[user.start : user.end], noisy.user[-SOURCE_RATE * 8 :]
    speech_dbfs, noise_dbfs = (10 * np.log10(np.mean((one / 32768) ** 2)) for one in (speech, background))
    assert speech_dbfs < -10
    assert speech_dbfs - noise_dbfs == pytest.approx(20, abs=1)


def test_bursts_are_where_their_labels_say():
    spoken = spoken_noise(("user", 2.0, 5), ("agent", 2.0, 6))
    timeline = Schedule(ScheduleSettings(tail_s=50), 0).process([spoken])[0]
    settings = {"share": 1, "snr_db_low": 80, "snr_db_high": 80, "bursts_a_minute": 30}
    noisy = Render(RenderSettings(noise=settings), 0).process([timeline])[0]
    assert 8 < len(noisy.noise.bursts) < 60
    silent = np.ones(len(noisy.user), dtype=bool)
    for segment in [*noisy.noise.bursts, timeline.segments[0]]:
        assert np.abs(noisy.user[segment.start : segment.end].astype(int)).max() > 300
        silent[segment.start : segment.end] = False
    assert np.abs(noisy.user[silent].astype(int)).max() < 20
    assert Render(RenderSettings(noise=settings), 0).process([timeline])[0].noise.bursts == noisy.noise.bursts
    assert Render(RenderSettings(noise=settings), 1).process([timeline])[0].noise.bursts != noisy.noise.bursts


def test_an_agent_that_pauses_sounds_the_same_until_the_user_barges_in() -> None:
    made = spoken_noise(("user", 3.0, 9), ("agent", 9.0, 27), ("user", 2.0, 6))
    spoken = [replace(made, dialogue=replace(made.dialogue, id=f"d{i}")) for i in range(12)]

    def performed(share: float) -> list[DuplexDialogue]:
        settings = {"profile": "human", "agent_pauses": True, "barge_in": {"share": share}}
        timelines = Schedule(ScheduleSettings.model_validate(settings), 0).process(spoken)
        return Render(RenderSettings(), 0).process(timelines)

    paused = 0
    for cut, whole in zip(performed(1), performed(0), strict=True):
        own, same = cut.timeline.segments[1], whole.timeline.segments[1]
        heard, all_of_it = cut.agent[own.start : own.end], whole.agent[same.start : same.end]
        onset = convert(cut.timeline.segments[2].start, SOURCE_RATE, TARGET_RATE) - own.start
        paused += len(own.pauses)
        assert np.array_equal(heard[:onset], all_of_it[:onset])
        assert np.array_equal(cut.uncut[0][: own.length - 500], heard[: own.length - 500]), "until it is faded out"
        assert len(cut.uncut[0]) > own.length and np.any(cut.uncut[0][own.length :])
    assert paused > 5
