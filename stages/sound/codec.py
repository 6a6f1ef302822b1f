"""A call's codec on the user's voice: Opus or µ-law, encoded and decoded in memory by libsndfile."""

import io
import random
from typing import Annotated, Literal

import numpy as np
import soundfile
import soxr
from pydantic import Field

from manifests.frames import SOURCE_RATE
from manifests.sound import Codec
from stages.base import Settings
from stages.sound.spread import Spread, within

MULAW_RATE, MULAW_KBPS = 8_000, 64.0
"""ITU-T G.711."""
_OPUS_KBPS = (6.0, 256.0)
"""libsndfile's bit rates at compression levels 1 and 0; linear in between."""

CodecName = Literal["opus", "mulaw"]


class CodecSettings(Settings):
    share: float = Field(
        default=0, ge=0, le=1, description="share of the dialogues in which the user's channel passes a codec"
    )
    kinds: Annotated[tuple[CodecName, ...], Field(min_length=1)] = Field(
        default=("opus", "mulaw"), description="the codecs to draw from; mulaw is G.711, at 8 kHz"
    )
    opus_kbps: Annotated[Spread, within(8, 64)] = Field(
        default=Spread(low=12, high=32), description="mean bit rate of Opus"
    )


def through_codec(channel: np.ndarray, settings: CodecSettings, draw: random.Random) -> tuple[np.ndarray, Codec | None]:
    """The user's channel (floats within ±1, at 16 kHz) encoded and decoded, without delay."""
    if draw.random() >= settings.share:
        return channel, None
    if draw.choice(settings.kinds) == "mulaw":
        return _through_mulaw(channel), Codec("mulaw", MULAW_KBPS)
    kbps = settings.opus_kbps.draw(draw)
    return _through_opus(channel, kbps), Codec("opus", kbps)


def _through_opus(channel: np.ndarray, kbps: float) -> np.ndarray:
    """libsndfile removes Opus's padding before (its pre-skip) and after the sound."""
    low, high = _OPUS_KBPS
    return _packed(channel, SOURCE_RATE, "OGG", "OPUS", compression_level=1 - (kbps - low) / (high - low))


def _through_mulaw(channel: np.ndarray) -> np.ndarray:
    narrow = soxr.resample(channel, SOURCE_RATE, MULAW_RATE, quality="HQ")
    narrow = _packed(np.clip(narrow, -1, 1), MULAW_RATE, "WAV", "ULAW")
    wide = soxr.resample(narrow, MULAW_RATE, SOURCE_RATE, quality="HQ")[: len(channel)]
    return np.pad(wide, (0, len(channel) - len(wide)))


def _packed(samples: np.ndarray, rate: int, container: str, subtype: str, **options: float) -> np.ndarray:
    with io.BytesIO() as file:
        soundfile.write(file, samples, rate, format=container, subtype=subtype, **options)
        file.seek(0)
        unpacked: np.ndarray = soundfile.read(file, dtype="float32")[0]
    return unpacked
