"""Level and noise drawn when a cut is loaded: as configured, only on the user's channel, and the same for the same step
and cut."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from material import SMALL_RUN
from pydantic import ValidationError

from salm_duplex_model.augment import augment
from salm_duplex_model.config import AugmentConfig, RunConfig
from salm_duplex_model.steps import Steps
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer


def speech(seconds: int = 20) -> np.ndarray:
    """Half a second of a tone in every second, and digital silence."""
    t = np.arange(seconds * 16_000) / 16_000
    return np.where(t % 1 < 0.48, 0.2 * np.sin(2 * np.pi * 300 * t), 0).astype(np.float32)


def test_the_level_is_within_its_bounds_and_clips():
    changes = []
    for seed in range(20):
        audio = speech()
        augment(audio, AugmentConfig(level_db=(-12, 6)), np.random.default_rng(seed))
        changes.append(20 * np.log10(audio.std() / speech().std()))
        assert np.abs(audio).max() <= 1 and not audio[speech() == 0].any()
    assert -12 <= min(changes) < -6 and 0 < max(changes) <= 6
    audio = speech()
    augment(audio, AugmentConfig(level_db=(40, 40)), np.random.default_rng(0))
    assert np.abs(audio).max() == 1


def test_noise_has_the_requested_snr_and_various_colors():
    slopes = []
    for seed in range(12):
        audio = speech()
        augment(audio, AugmentConfig(noise_share=1, noise_snr_db=(12, 12)), np.random.default_rng(seed))
        noise = audio - speech()
        snr = 10 * np.log10(np.square(speech()[speech() != 0]).mean() / np.square(noise).mean())
        assert snr == pytest.approx(12, abs=1)
        power = np.abs(np.fft.rfft(noise)) ** 2
        low, high = (power[int(f * 20) : int(2 * f * 20)].mean() for f in (100, 3_200))
        slopes.append(10 * np.log10(low / high) / 5)  # dB an octave
    assert -0.5 < min(slopes) < 1.5 and 4 < max(slopes) < 7


def test_a_share_gets_noise_and_silence_stays_silent():
    noisy = 0
    for seed in range(100):
        audio = speech(1)
        augment(audio, AugmentConfig(noise_share=0.3), np.random.default_rng(seed))
        noisy += bool(audio[speech(1) == 0].any())
    assert 18 <= noisy <= 42
    silent = np.zeros(32_000, dtype=np.float32)
    augment(silent, AugmentConfig(noise_share=1, level_db=(6, 6)), np.random.default_rng(0))
    assert not silent.any()


def test_it_is_drawn_for_each_step_and_cut_and_changes_the_user_alone(talk):
    tokenizer = TextTokenizer.load(BUNDLED)
    data = RunConfig(**SMALL_RUN).data.model_copy(update={"batch_seconds": 300.0, "buckets": 1})
    drawn = data.model_copy(update={"augment": AugmentConfig(noise_share=1, level_db=(-6, 0))})

    def parts(config, rank=0, world=1):
        return [part for step in Steps([talk], config, tokenizer, 0, rank, world).iterate(0, 2) for part in step.parts]

    plain, one, again = parts(data), parts(drawn), parts(drawn)
    for before, after, same in zip(plain, one, again, strict=True):
        assert torch.equal(after.audio, same.audio)
        assert torch.equal(replace(after, audio=before.audio).text, before.text)
        assert torch.equal(after.codes, before.codes)
        for row, frames in enumerate(before.frames.tolist()):
            assert not torch.equal(before.audio[row], after.audio[row])
            assert not after.audio[row, frames * 1_280 :].any()

    def rows(batches):
        return {
            (number, id): row[: length * 1_280]
            for number, b in enumerate(batches)
            for id, row, length in zip(b.ids, b.audio, b.frames.tolist(), strict=True)
        }

    halves = rows(parts(drawn, 0, 2)) | rows(parts(drawn, 1, 2))
    whole = rows(one)
    assert whole.keys() == halves.keys() and all(torch.equal(whole[key], halves[key]) for key in whole)
    cut = one[0].ids[0]
    assert not torch.equal(whole[0, cut], whole[1, cut])


def test_bounds_in_the_wrong_order_are_rejected():
    with pytest.raises(ValidationError, match="'level_db' must go from low to high"):
        AugmentConfig(level_db=(3, -3))
