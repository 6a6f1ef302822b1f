"""Random level and noise on the user's channel, drawn each time a cut is loaded."""

import numpy as np

from manifests.frames import SOURCE_FRAME
from salm_duplex_model.config import AugmentConfig

_PERIOD = 2**17
"""Samples of noise. Synthesized from a spectrum, it is periodic, so it repeats without a click."""
_QUIET = 1e-3
"""Frames with less than this share of the loudest frame's power are not counted as speech."""


def augment(audio: np.ndarray, config: AugmentConfig, draw: np.random.Generator) -> None:
    """Change the level of a cut's audio, float32 (samples,) in [-1, 1], and add noise to it, in place.

    The noise's power falls with frequency as 1/f^e, with e between 0 (white) and 2 (brown). Its level is relative to the cut's
    speech; a silent cut gets none. Samples beyond full scale are clipped.
    """
    # Everything is drawn, used or not, so that one setting does not change another one's draws.
    gain = 10 ** (draw.uniform(*config.level_db) / 20)
    noisy, snr_db, exponent = draw.random() < config.noise_share, draw.uniform(*config.noise_snr_db), draw.uniform(0, 2)
    if noisy and (power := _speech_power(audio)) > 0:
        noise = _colored(exponent, draw)
        noise *= np.sqrt(power * 10 ** (-snr_db / 10))
        audio += np.resize(noise, len(audio))
    audio *= gain
    np.clip(audio, -1, 1, out=audio)


def _speech_power(audio: np.ndarray) -> float:
    powers = np.square(audio[: len(audio) // SOURCE_FRAME * SOURCE_FRAME].reshape(-1, SOURCE_FRAME)).mean(1)
    loudest = powers.max(initial=0)
    return float(powers[powers >= _QUIET * loudest].mean()) if loudest > 0 else 0.0


def _colored(exponent: float, draw: np.random.Generator) -> np.ndarray:
    """Noise float32 (_PERIOD,) of unit power, with nothing below 20 Hz."""
    spectrum = np.fft.rfft(draw.standard_normal(_PERIOD, dtype=np.float32))
    lowest = 20 * _PERIOD // 16_000
    spectrum[:lowest] = 0
    spectrum[lowest:] *= np.arange(lowest, len(spectrum)) ** (-exponent / 2)
    noise: np.ndarray = np.fft.irfft(spectrum, _PERIOD).astype(np.float32)
    noise /= np.sqrt(np.mean(np.square(noise)))
    return noise
