"""Synthetic noise on the user's channel: a steady background, and short bursts that are not speech.

An agent used outside a studio must tell speech from a fan, a keyboard or a slammed door, so it must
hear them in training. Levels are relative to the user's speech.
"""

import random

import numpy as np
from pydantic import Field, model_validator

from manifests.frames import SOURCE_RATE, to_samples
from manifests.records import Noise, Span
from stages.base import Settings

SLOPES = {"white": 0.0, "pink": -0.5, "brown": -1.0}
"""The exponent of a background's amplitude spectrum."""
HUM_HZ = 50
ROUND_S = 4.0
"""The period of a background."""


class NoiseSettings(Settings):
    share: float = Field(default=0, ge=0, le=1, description="share of the dialogues with noise on the user's channel")
    snr_db_low: float = Field(default=10, ge=-20, le=80, description="speech relative to the loudest background")
    snr_db_high: float = Field(default=40, ge=-20, le=80, description="speech relative to the quietest background")
    bursts_a_minute: float = Field(default=4, ge=0, le=60, description="short noises: knocks, clicks, rustling")

    @model_validator(mode="after")
    def _in_order(self) -> "NoiseSettings":
        if self.snr_db_low > self.snr_db_high:
            raise ValueError("'snr_db_low' must not be above 'snr_db_high'")
        return self


def add_noise(
    channel: np.ndarray, speech_dbfs: float, settings: NoiseSettings, draw: random.Random
) -> tuple[np.ndarray, Noise | None]:
    """A channel (floats, at 16 kHz) with noise and the noise's label; or, if it stays clean, the channel and None."""
    if draw.random() >= settings.share:
        return channel, None
    values = np.random.default_rng(draw.getrandbits(64))
    kind, snr = draw.choice([*SLOPES, "hum"]), draw.uniform(settings.snr_db_low, settings.snr_db_high)
    noise = 10 ** ((speech_dbfs - snr) / 20) * np.resize(_background(kind, values), len(channel))
    bursts = _places(len(channel), settings.bursts_a_minute, draw)
    for burst in bursts:
        noise[burst.start : burst.end] += 10 ** ((speech_dbfs + draw.uniform(-6, 6)) / 20) * _burst(
            burst.length, values
        )
    return channel + noise, Noise(kind, snr, bursts)


def _background(kind: str, values: np.random.Generator) -> np.ndarray:
    """Steady noise of RMS 1, `ROUND_S` long, that loops seamlessly."""
    samples = to_samples(ROUND_S, SOURCE_RATE)
    if kind == "hum":
        phase = 2 * np.pi * HUM_HZ * np.arange(samples) / SOURCE_RATE
        wave = sum(np.sin(n * phase + values.uniform(0, 2 * np.pi)) / n for n in range(1, 8))
        return np.asarray(wave / np.sqrt(np.mean(np.square(wave))))
    spectrum = np.fft.rfft(values.standard_normal(samples))
    frequencies = np.maximum(np.arange(len(spectrum)) / ROUND_S, 20)
    wave = np.fft.irfft(spectrum * frequencies ** SLOPES[kind])
    return np.asarray(wave / np.sqrt(np.mean(np.square(wave))))


def _places(samples: int, a_minute: float, draw: random.Random) -> tuple[Span, ...]:
    """The times of bursts, in order and without overlap, at the given average rate."""
    spans: list[Span] = []
    at = 0
    while a_minute:
        at += to_samples(draw.expovariate(a_minute / 60), SOURCE_RATE)
        length = to_samples(draw.uniform(0.03, 0.4), SOURCE_RATE)
        if at + length > samples:
            break
        spans.append(Span(at, length))
        at += length
    return tuple(spans)


def _burst(length: int, values: np.random.Generator) -> np.ndarray:
    """A knock or a rustle of RMS 1: colored noise with a slow or fast decay."""
    spectrum = np.fft.rfft(values.standard_normal(length)) if length > 1 else np.zeros(1)
    spectrum *= np.maximum(np.arange(len(spectrum)), 1) ** values.uniform(-1.0, 0.0)
    wave = np.fft.irfft(spectrum, length) * np.exp(-np.arange(length) / length * values.uniform(1, 6))
    return np.asarray(wave / max(float(np.sqrt(np.mean(np.square(wave)))), 1e-9))
