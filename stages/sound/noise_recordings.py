"""Recorded noise on the user's channel, from any Lhotse manifest, such as MUSAN's."""

import random
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from manifests.frames import SOURCE_RATE, to_samples
from manifests.recordings import MAX_SECONDS
from manifests.records import BadDialogue
from manifests.sound import NoiseRecording
from stages.base import Settings
from stages.sound.recordings import choose, read_at_source_rate
from stages.sound.spread import Spread, within


class NoiseRecordingSettings(Settings):
    share: float = Field(
        default=0, ge=0, le=1, description="share of the dialogues with recorded noise on the user's channel"
    )
    manifest: str = Field(
        default="", description="a Lhotse manifest of recordings or cuts to draw from, at a path or URL"
    )
    snr_db: Annotated[Spread, within(-20, 80)] = Field(
        default=Spread(low=5, high=30), description="speech relative to the noise"
    )

    @model_validator(mode="after")
    def _has_recordings(self) -> "NoiseRecordingSettings":
        if self.share and not self.manifest:
            raise ValueError("its 'share' is above 0, so 'manifest' must name recordings of noise")
        return self


def add_recorded_noise(
    channel: np.ndarray, speech_dbfs: float, settings: NoiseRecordingSettings, draw: random.Random
) -> tuple[np.ndarray, NoiseRecording | None]:
    """A channel (floats, at 16 kHz) mixed with a randomly drawn recording, repeated if it is shorter.

    From longer recordings, two minutes are used. Raises `BadDialogue` if the recording can't be read or is silent."""
    if draw.random() >= settings.share:
        return channel, None
    one, snr_db, place = choose(settings.manifest, draw), settings.snr_db.draw(draw), draw.random()
    spare_s = max(0.0, (one.recording.duration_s or 0.0) - MAX_SECONDS)
    noise = read_at_source_rate(one, place * spare_s, MAX_SECONDS)
    start = to_samples(place * spare_s, SOURCE_RATE) if spare_s else int(place * len(noise))
    repeated = np.resize(noise if spare_s else np.roll(noise, -start), len(channel))
    level = float(np.sqrt(np.mean(np.square(repeated, dtype=np.float64))))
    if level == 0:
        message = f"The noise recording '{one.id}' of {settings.manifest} is silent in the part used; remove it from the manifest."
        raise BadDialogue("silent_noise", message)
    return channel + 10 ** ((speech_dbfs - snr_db) / 20) / level * repeated, NoiseRecording(one.id, start, snr_db)
