import random

import numpy as np
import pytest
from pydantic import ValidationError

from stages.sound.echo import EchoSettings, add_echo

SETTINGS = EchoSettings(share=1)


@pytest.fixture(scope="module")
def agent() -> np.ndarray:
    """Four seconds: noise from 1 s to 2 s, below 6 kHz, which every resampler passes."""
    samples = np.zeros(4 * 22_050, np.int16)
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(0, 3000, 22_050))
    spectrum[6_000:] = 0
    samples[22_050:44_100] = np.fft.irfft(spectrum)
    return samples


@pytest.mark.parametrize("seed", range(5))
def test_the_agent_is_heard_as_late_and_as_loud_as_the_label_says(agent, seed):
    heard, echo = add_echo(np.zeros(64_000, np.float32), agent, SETTINGS, random.Random(seed))
    assert 0.1 * 16_000 <= echo.delay <= 0.5 * 16_000 and 0.02 <= echo.gain <= 0.2
    # The agent at 16 kHz by another method than the stage's: exact band-limited interpolation.
    spectrum = np.fft.rfft(agent / 32_768)[: 64_000 // 2 + 1] * (16_000 / 22_050)
    direct = np.fft.irfft(spectrum, 64_000)
    lags = np.fft.irfft(np.fft.rfft(heard, 128_000) * np.conj(np.fft.rfft(direct, 128_000)))
    assert abs(int(lags.argmax()) - echo.delay) <= 1
    assert lags.max() / np.sum(direct**2) == pytest.approx(echo.gain, rel=0.02)
    assert np.abs(heard[: 15_900 + echo.delay]).max() < 1e-4


def test_an_echo_beyond_the_end_is_cut_there_and_the_user_stays_under_it(agent):
    user = np.random.default_rng(1).normal(0, 0.1, 64_000).astype(np.float32)
    loud = np.full_like(agent, 1000)
    heard, echo = add_echo(user, loud, SETTINGS, random.Random(0))
    assert len(heard) == 64_000
    assert np.array_equal(heard[: echo.delay], user[: echo.delay])
    assert heard[-1000:] - user[-1000:] == pytest.approx(np.full(1000, echo.gain * 1000 / 32_768), rel=0.2)


def test_by_default_there_is_no_echo(agent):
    user = np.zeros(64_000, np.float32)
    heard, echo = add_echo(user, agent, EchoSettings(), random.Random(0))
    assert heard is user and echo is None


@pytest.mark.parametrize("gain", [{"low": 0.3, "high": 0.2}, {"low": 0, "high": 2}])
def test_impossible_gains_are_rejected(gain):
    with pytest.raises(ValidationError, match=r"'low'"):
        EchoSettings(gain=gain)
