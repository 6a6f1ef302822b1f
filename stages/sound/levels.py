"""The user's level: changes as people move, and the headroom that prevents clipping."""

import random
from typing import Annotated

import numpy as np
from pydantic import Field

from manifests.frames import SOURCE_RATE, to_samples
from manifests.pcm import FULL_SCALE
from manifests.sound import Level, LevelChanges
from stages.base import Settings
from stages.sound.spread import Spread, within

PEAK = 0.89
"""Maximum amplitude, relative to full scale (−1 dBFS): a louder channel is scaled down as a whole, never clipped."""
_LARGEST = (FULL_SCALE - 1) / FULL_SCALE


class LevelChangeSettings(Settings):
    share: float = Field(default=0, ge=0, le=1, description="share of the dialogues in which the user's level changes")
    gain_db: Annotated[Spread, within(-40, 20)] = Field(default=Spread(low=-8, high=2), description="range of the gain")
    every_s: Annotated[Spread, within(0.5, 60)] = Field(
        default=Spread(low=2, high=8), description="time from one gain to the next"
    )


def change_level(
    channel: np.ndarray, settings: LevelChangeSettings, draw: random.Random
) -> tuple[np.ndarray, LevelChanges | None]:
    """The user's channel (floats, at 16 kHz) with a gain that moves between random values, linearly in dB."""
    if draw.random() >= settings.share:
        return channel, None
    levels = [Level(0, settings.gain_db.draw(draw))]
    while levels[-1].at < len(channel):
        at = levels[-1].at + to_samples(settings.every_s.draw(draw), SOURCE_RATE)
        levels.append(Level(at, settings.gain_db.draw(draw)))
    gains_db = np.interp(np.arange(len(channel)), [level.at for level in levels], [level.gain_db for level in levels])
    return channel * 10 ** (gains_db / 20), LevelChanges(tuple(levels))


def turned_down(channel: np.ndarray) -> tuple[np.ndarray, float]:
    """The floats, scaled down as a whole if they exceed 16 bits, and by how many dB."""
    peak = float(np.max(np.abs(channel), initial=0))
    if peak <= _LARGEST:
        return channel, 0.0
    return channel * (PEAK / peak), round(20 * float(np.log10(peak / PEAK)), 2)
