"""The agent's echo: its loudspeaker in the user's microphone."""

import random
from typing import Annotated

import numpy as np
import soxr
from pydantic import Field

from manifests.frames import SOURCE_RATE, TARGET_RATE, to_samples
from manifests.pcm import to_float
from manifests.sound import Echo
from stages.base import Settings
from stages.sound.spread import Spread, within


class EchoSettings(Settings):
    share: float = Field(
        default=0, ge=0, le=1, description="share of the dialogues in which the user's microphone picks up the agent"
    )
    gain: Annotated[Spread, within(0, 1)] = Field(
        default=Spread(low=0.02, high=0.2), description="the echo's amplitude relative to the agent's"
    )
    delay_s: Annotated[Spread, within(0, 5)] = Field(default=Spread(low=0.1, high=0.5), description="the echo's delay")


def add_echo(
    channel: np.ndarray, agent: np.ndarray, settings: EchoSettings, draw: random.Random
) -> tuple[np.ndarray, Echo | None]:
    """The user's channel (floats, at 16 kHz) with an echo of the agent's (int16, at 22.05 kHz, of equal duration)."""
    if draw.random() >= settings.share:
        return channel, None
    echo = Echo(settings.gain.draw(draw), to_samples(settings.delay_s.draw(draw), SOURCE_RATE))
    agent = soxr.resample(to_float(agent), TARGET_RATE, SOURCE_RATE, quality="HQ")
    heard = np.pad(agent, (echo.delay, len(channel)))[: len(channel)]
    return channel + np.float32(echo.gain) * heard, echo
