"""A custom stage: some users call by telephone. Insert it between `render` and `verify`; see phone.yaml in this folder.

`docs/write_a_stage.md` explains it line by line.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from manifests.frames import SOURCE_RATE
from manifests.pcm import to_float, to_int16
from manifests.records import BadDialogue, DuplexDialogue, Rejected
from stages.base import Settings, Stage, draw, labeled, reject

BANDS_HZ = {"narrow": (300, 3_400), "wide": (50, 7_000)}
"""Telephone bands: the classic one (ITU-T G.712), and HD voice (G.722)."""
TAPS = 401


class PhoneSettings(Settings):
    band: Literal["narrow", "wide"] = "narrow"
    share: float = Field(
        default=1, ge=0, le=1, description="share of the dialogues in which the user calls by telephone"
    )
    max_loss_db: float = Field(default=15, gt=0, description="reject voices that lose more level than this")


class Phone(Stage[DuplexDialogue, DuplexDialogue, PhoneSettings]):
    """Limit the user's channel to a telephone's band, and label every dialogue."""

    def setup(self) -> None:
        self.filter = band_pass(*BANDS_HZ[self.settings.band])

    def process(self, records: Sequence[DuplexDialogue]) -> list[DuplexDialogue | Rejected]:
        return [self._call(record) for record in records]

    def _call(self, record: DuplexDialogue) -> DuplexDialogue | Rejected:
        if draw(self.seed, record.dialogue.id, "phone").random() >= self.settings.share:
            return labeled(record, telephone=False)
        heard = to_float(record.user)
        carried = np.convolve(heard, self.filter, mode="same")
        loss_db = 10 * np.log10((np.mean(heard**2) + 1e-12) / (np.mean(carried**2) + 1e-12))
        if loss_db > self.settings.max_loss_db:
            message = (
                f"The user's voice loses {loss_db:.1f} dB on the telephone, over the {self.settings.max_loss_db:g} of "
            )
            return reject(record.dialogue, "phone", BadDialogue("lost_in_band", message + "phone.max_loss_db."))
        return labeled(replace(record, user=to_int16(carried)), telephone=True)


def band_pass(low_hz: float, high_hz: float) -> np.ndarray:
    """A zero-delay filter: float32 (TAPS,), by the window method."""
    time = (np.arange(TAPS) - TAPS // 2) / SOURCE_RATE
    ideal = 2 * high_hz * np.sinc(2 * high_hz * time) - 2 * low_hz * np.sinc(2 * low_hz * time)
    kernel: np.ndarray = (ideal * np.hamming(TAPS) / SOURCE_RATE).astype(np.float32)
    return kernel
