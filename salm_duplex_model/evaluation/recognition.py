"""The words of an agent's turns, by any recognizer: the recognizers themselves are in `stages/ears/recognize.py`."""

from collections.abc import Callable, Sequence

import numpy as np
import soxr

from manifests.frames import SOURCE_RATE, TARGET_RATE
from salm_duplex_model.evaluation.timeline import Interval

MARGIN_S = 0.1
"""Context that a recognizer hears on both sides of a turn."""

Recognize = Callable[[Sequence[np.ndarray]], list[str]]
"""The transcripts of float32 recordings at 16 kHz."""


def transcribe(recognize: Recognize, audio: np.ndarray, turns: Sequence[Interval]) -> str:
    """The words of the turns of an agent's audio, float (samples,) at 22 050 Hz."""
    spans = [
        audio[max(0, round((turn.start - MARGIN_S) * TARGET_RATE)) : round((turn.end + MARGIN_S) * TARGET_RATE)]
        for turn in turns
    ]
    heard = recognize([soxr.resample(s.astype(np.float32), TARGET_RATE, SOURCE_RATE) for s in spans]) if spans else []
    return " ".join(heard)
