"""How natural the agent's speech sounds: UTMOS (Saeki et al., arXiv 2204.02152), a prediction of listeners' mean
opinion, 1 to 5.

Users download the weights as the TorchScript file `utmos_scripted.pt` from huggingface.co/Blinorot/UTMOS-PyTorch (about
400 MB), which needs only PyTorch and contains no Python code.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr
import torch

from manifests.errors import RequestError
from manifests.frames import SOURCE_RATE, TARGET_RATE
from salm_duplex_model.evaluation.timeline import Interval


class Utmos:
    """A loaded model. Raises `RequestError` if the file is not one."""

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise RequestError(
                f"The UTMOS model {file} does not exist; get utmos_scripted.pt from huggingface.co/Blinorot/UTMOS-PyTorch."
            )
        try:
            self._model = torch.jit.load(str(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except RuntimeError:
            raise RequestError(f"{file} is not a TorchScript file; get UTMOS's utmos_scripted.pt.") from None

    @torch.inference_mode()
    def __call__(self, audio: np.ndarray, turns: Sequence[Interval]) -> float | None:
        """The score of an agent's audio, float (samples,) at 22 050 Hz, without silence; None if it says nothing."""
        spans = [audio[round(turn.start * TARGET_RATE) : round(turn.end * TARGET_RATE)] for turn in turns]
        if not spans:
            return None
        heard = soxr.resample(np.concatenate(spans).astype(np.float32), TARGET_RATE, SOURCE_RATE)
        return float(self._model(torch.from_numpy(heard)[None]))
