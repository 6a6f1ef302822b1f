"""Voice activity detection: a pyannote.audio model slid over a channel.

Any segmentation or voice activity model of pyannote.audio works: the bundled one, `pyannote/segmentation-3.0`, your
own. A checkpoint is a Lightning checkpoint, which is a pickle; it is read twice, first by PyTorch's restricted
unpickler that knows only tensors and pyannote's description of a model, so that an untrusted one can't run code here.
"""

import hashlib
import importlib
import importlib.util
import io
import os
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import soxr

from manifests.pcm import to_float

BUNDLED = Path(__file__).parent / "bundled.ckpt"
RATE = 16_000
OVERLAP = 0.2
"""Overlap of successive windows: a bidirectional model knows little about its window's edges."""
THRESHOLD = 0.3
"""Scores above this are speech. At 0.5, weak ends of words are lost: of 640 edges, 98.6 % were within a frame of their labels, and
99.4 % at 0.3, with no more false speech."""
BRIDGE_S = 0.2
"""Shorter silence is part of speech, as in inter-pausal units: a stop consonant's closure is not a pause."""
SHORTEST_S = 0.1
"""Shorter speech is ignored."""

# pyannote.audio reports each loaded model to its makers unless this is set.
os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "false")


class UnusableModel(ValueError):
    """The named model can't be obtained or used, for this reason."""


class VoiceActivity:
    """A loaded model. `name`: `bundled`, a checkpoint's file, its folder, or its name on the Hugging Face hub."""

    def __init__(self, name: str = "bundled", device: str = "cpu") -> None:
        import_pyannote()
        import torch
        from pyannote.audio import Inference
        from pyannote.audio.utils.signal import Binarize

        content = find_checkpoint(name).read_bytes()
        self.sha256 = hashlib.sha256(content).hexdigest()
        model = load_model(name, content)
        duration = next(iter(model.specifications)).duration
        self._inference: Any = Inference(
            model,
            duration=duration,
            step=(1 - OVERLAP) * duration,
            # The maximum over speakers: a channel has only one, whose voice a model may attribute to several.
            pre_aggregation_hook=lambda scores: np.max(scores, axis=-1, keepdims=True),
            device=torch.device(device),
        )
        self._binarize: Any = Binarize(
            onset=THRESHOLD, offset=THRESHOLD, min_duration_on=SHORTEST_S, min_duration_off=BRIDGE_S
        )

    def speech(self, samples: np.ndarray, rate: int) -> list[tuple[float, float]]:
        """Start and end, in seconds, of each segment of speech in a channel: int16, shape (samples,)."""
        import torch

        heard = to_float(samples)
        if rate != RATE:
            heard = soxr.resample(heard, rate, RATE)
        scores = self._inference.slide(torch.from_numpy(self._filled(heard))[None], RATE, hook=None)
        found = self._binarize(scores).get_timeline()
        end = len(samples) / rate
        return [(max(0.0, stretch.start), min(stretch.end, end)) for stretch in found if stretch.start < end]

    def _filled(self, heard: np.ndarray) -> np.ndarray:
        """The channel, padded by repeating it to fill the last window: pyannote would pad with silence, next to
        which plain noise sounds like speech."""
        window, step = (round(seconds * RATE) for seconds in (self._inference.duration, self._inference.step))
        windows = 1 + max(0, -(-(len(heard) - window) // step))
        return np.pad(heard, (0, window + (windows - 1) * step - len(heard)), mode="wrap")


def installed() -> bool:
    """Whether pyannote.audio is installed; it is not imported, since that takes seconds."""
    return all(importlib.util.find_spec(name) for name in ("pyannote", "pyannote.audio"))


def import_pyannote() -> None:
    """Import pyannote.audio quietly: it warns at length if it could not read audio files, which it never does here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("pyannote.audio")


def find_checkpoint(name: str) -> Path:
    """The checkpoint's file, local or from the Hugging Face hub; raises `UnusableModel`."""
    if name == "bundled":
        return BUNDLED
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        path = path / "pytorch_model.bin"
        if not path.is_file():
            raise UnusableModel(f"the folder {name} contains no pytorch_model.bin; name a pyannote.audio checkpoint")
        return path
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, "pytorch_model.bin"))
    except Exception as error:  # gated, misspelled, offline: the hub's errors have many types
        reason = (" ".join(str(error).split()) or type(error).__name__)[:160]
        raise UnusableModel(
            f"the model '{name}' is not a local file and can't be downloaded from the hub ({reason}); if its page on "
            "huggingface.co has terms, accept them there and set HF_TOKEN, or name a downloaded checkpoint's path"
        ) from None


def load_model(name: str, content: bytes) -> Any:
    """The model of a checkpoint's bytes, loaded by pyannote.audio's own `Model.from_pretrained`; raises
    `UnusableModel`."""
    import torch
    from pyannote.audio import Model
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from torch.torch_version import TorchVersion

    allowed = [Problem, Resolution, Specifications, TorchVersion]
    try:
        with torch.serialization.safe_globals(allowed):
            facts = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        architecture = facts["pyannote.audio"]["architecture"]
        specifications = facts["pyannote.audio"]["specifications"]
    except (UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UnusableModel(f"{name} is not a weights-only pyannote.audio checkpoint ({reason})") from None
    if not architecture["module"].startswith("pyannote.audio.models."):
        raise UnusableModel(f"{name} is of {architecture['module']}, which is not a pyannote.audio model")
    if getattr(specifications, "resolution", None) is not Resolution.FRAME:
        raise UnusableModel(f"{name} does not classify speech frame by frame; name a segmentation model")
    return Model.from_pretrained(io.BytesIO(content), map_location="cpu")
