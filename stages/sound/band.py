"""The bandwidth of microphones and telephones, by a causal filter."""

import random
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from manifests.frames import SOURCE_RATE
from manifests.sound import Band
from stages.base import Settings

MICROPHONES = {
    "headset": Band("headset", 80, 7_600),
    "laptop": Band("laptop", 150, 7_000),
    "speakerphone": Band("speakerphone", 220, 5_500),
    "old_handset": Band("old_handset", 250, 4_200),
}
"""Band edges by name; approximate, since devices vary."""
TELEPHONE = Band("narrowband", 300, 3_400)
"""The classic band (ITU-T G.712)."""
MICROPHONE_ORDER, TELEPHONE_ORDER = 2, 8
"""Orders of the Butterworth filters at each edge: a microphone's edges are gentle, a line's steep."""

MicrophoneName = Literal["headset", "laptop", "speakerphone", "old_handset"]


class MicrophoneSettings(Settings):
    share: float = Field(default=0, ge=0, le=1, description="share of the dialogues with a band-limited microphone")
    kinds: Annotated[tuple[MicrophoneName, ...], Field(min_length=1)] = Field(
        default=("headset", "laptop", "speakerphone", "old_handset"), description="the microphones to draw from"
    )


class TelephoneSettings(Settings):
    share: float = Field(
        default=0, ge=0, le=1, description="share of the dialogues in which the user calls by telephone: 300–3400 Hz"
    )


def through_microphone(
    channel: np.ndarray, settings: MicrophoneSettings, draw: random.Random
) -> tuple[np.ndarray, Band | None]:
    """The user's channel (floats, at 16 kHz) through a randomly drawn microphone."""
    if draw.random() >= settings.share:
        return channel, None
    band = MICROPHONES[draw.choice(settings.kinds)]
    return band_passed(channel, band, MICROPHONE_ORDER), band


def through_telephone(
    channel: np.ndarray, settings: TelephoneSettings, draw: random.Random
) -> tuple[np.ndarray, Band | None]:
    """The user's channel (floats, at 16 kHz) through a telephone line."""
    if draw.random() >= settings.share:
        return channel, None
    return band_passed(channel, TELEPHONE, TELEPHONE_ORDER), TELEPHONE


def band_passed(channel: np.ndarray, band: Band, order: int) -> np.ndarray:
    """Band-pass filter, −3 dB at the edges; delays by a few milliseconds at most."""
    from scipy import signal  # slow to import

    edges: Sequence[tuple[float, str]] = ((band.low_hz, "highpass"), (band.high_hz, "lowpass"))
    for edge, kind in edges:
        channel = signal.sosfilt(signal.butter(order, edge, kind, fs=SOURCE_RATE, output="sos"), channel)
    return channel
