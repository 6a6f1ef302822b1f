import random

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, Recording, RecordingSet
from pydantic import ValidationError

from manifests.records import BadDialogue
from stages.render import Render, RenderSettings
from stages.sound.noise_recordings import NoiseRecordingSettings, add_recorded_noise

SPEECH_DBFS = -25.0


def fan(seconds: float, rate: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, round(seconds * rate))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    soundfile.write(folder / "fan.wav", fan(1.7, 16_000, 0), 16_000, subtype="FLOAT")
    soundfile.write(folder / "street.flac", np.stack([fan(9, 44_100, 1), fan(9, 44_100, 2)], axis=1), 44_100)
    recordings = RecordingSet.from_recordings(
        Recording.from_file(folder / name, recording_id=name.split(".")[0]) for name in ("fan.wav", "street.flac")
    )
    recordings.to_file(folder / "recordings.jsonl.gz")
    cuts = [
        cut.truncate(offset=0.2, duration=1.0) for cut in CutSet.from_manifests(recordings=recordings.subset(first=1))
    ]
    CutSet.from_cuts(cuts).to_file(folder / "cuts.jsonl")
    return folder


def settings(path, **more) -> NoiseRecordingSettings:
    return NoiseRecordingSettings(share=1, manifest=str(path), **more)


def test_noise_is_on_the_whole_channel_at_the_level_that_the_label_says(folder):
    seen = set()
    for seed in range(8):
        silent = np.zeros(80_000, np.float32)
        heard, noise = add_recorded_noise(
            silent, SPEECH_DBFS, settings(folder / "recordings.jsonl.gz"), random.Random(seed)
        )
        level = 10 * np.log10(np.mean(heard**2))
        assert SPEECH_DBFS - level == pytest.approx(noise.snr_db, abs=1)
        assert 5 <= noise.snr_db <= 30
        assert min(np.abs(part).max() for part in np.split(heard, 50)) > 0
        seen.add(noise.recording)
    assert seen == {"fan", "street"}


def test_a_short_recording_is_repeated_and_cut_to_the_sample(folder):
    path = folder / "one.jsonl"
    RecordingSet.from_recordings([Recording.from_file(folder / "fan.wav", recording_id="fan")]).to_file(path)
    heard, noise = add_recorded_noise(np.zeros(80_001, np.float32), SPEECH_DBFS, settings(path), random.Random(1))
    original = soundfile.read(folder / "fan.wav")[0]
    expected = original[(noise.start + np.arange(80_001)) % len(original)]
    assert len(original) == 27_200 and noise.start > 0
    scale = heard @ expected / (expected @ expected)
    assert heard == pytest.approx(scale * expected, abs=1e-6)


def test_only_the_part_in_the_cut_is_heard(folder):
    heard, noise = add_recorded_noise(
        np.zeros(40_000, np.float32), SPEECH_DBFS, settings(folder / "cuts.jsonl"), random.Random(0)
    )
    original = soundfile.read(folder / "fan.wav")[0][3_200:19_200]
    expected = original[(noise.start + np.arange(40_000)) % 16_000]
    assert np.corrcoef(heard, expected)[0, 1] > 0.9999


def test_a_part_of_a_long_recording_is_used(tmp_path):
    long = np.linspace(0.1, 0.9, 150 * 4_000)
    soundfile.write(tmp_path / "long.wav", long, 4_000, subtype="FLOAT")
    RecordingSet.from_recordings([Recording.from_file(tmp_path / "long.wav", recording_id="a")]).to_file(
        tmp_path / "long.jsonl"
    )
    starts = set()
    for seed in range(3):
        heard, noise = add_recorded_noise(
            np.zeros(16_000, np.float32), SPEECH_DBFS, settings(tmp_path / "long.jsonl"), random.Random(seed)
        )
        assert 0 < noise.start < 30 * 16_000
        at = noise.start / 16_000
        expected = np.interp(at + np.arange(16_000) / 16_000, np.arange(len(long)) / 4_000, long)
        assert heard[400:-400] / heard[8_000] == pytest.approx(expected[400:-400] / expected[8_000], abs=1e-3)
        starts.add(noise.start)
    assert len(starts) == 3


def test_a_silent_recording_is_reported(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(1_000), 16_000)
    path = tmp_path / "silent.jsonl"
    RecordingSet.from_recordings([Recording.from_file(tmp_path / "silent.wav", recording_id="hush")]).to_file(path)
    with pytest.raises(BadDialogue, match=r"'hush'.*is silent"):
        add_recorded_noise(np.zeros(100, np.float32), SPEECH_DBFS, settings(path), random.Random(0))


def test_a_share_needs_a_manifest():
    with pytest.raises(ValidationError, match="'manifest' must name"):
        NoiseRecordingSettings(share=0.5)


def test_in_a_dialogue_it_is_as_far_below_the_speech_as_it_says(folder, timelines, rendered):
    chosen = {"share": 1, "manifest": str(folder / "recordings.jsonl.gz"), "snr_db": {"low": 20, "high": 20}}
    noisy = Render(RenderSettings(noise_recordings=chosen), 0).process(timelines[:4])
    for wild, clean in zip(noisy, rendered, strict=False):
        assert np.array_equal(wild.agent, clean.agent)
        spoken = np.zeros(len(clean.user), bool)
        for segment in clean.timeline.segments:
            if segment.speaker == "user":
                spoken[segment.start : segment.end] = True
        noise = wild.user.astype(float) - clean.user
        snr = 10 * np.log10(np.mean(clean.user[spoken].astype(float) ** 2) / np.mean(noise**2))
        assert snr == pytest.approx(20, abs=1)
