"""Where a channel holds speech: a pyannote.audio model slid over it.

Any segmentation or voice activity model of pyannote.audio does: the bundled one, `pyannote/segmentation-3.0`, your own. A
checkpoint is a Lightning one, which is a pickle; it is read twice, first by PyTorch's unpickler that knows nothing but
tensors and pyannote's description of a model, so that one from elsewhere can't run code here.
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
"""Share of a window that the next one hears again: a bidirectional model knows little of what lies at its edges."""
THRESHOLD = 0.3
"""A score above it is speech. At 0.5 weak ends of words are lost: of 640 edges 98.6 % lay within a frame of their labels, and
99.4 % at 0.3, with no more speech where there is none."""
BRIDGE_S = 0.2
"""Silence shorter than this is part of speech, as in the field's inter-pausal units: a stop's closure is no pause."""
SHORTEST_S = 0.1
"""Speech shorter than this is none."""

# pyannote.audio reports each model that it loads to its makers, unless this says otherwise.
os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "false")


class UnusableModel(ValueError):
    """The named model can't be had or can't be used, for this reason."""


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
            # Of several speakers, any: a channel holds one, and a model may take each of its voices for another.
            pre_aggregation_hook=lambda scores: np.max(scores, axis=-1, keepdims=True),
            device=torch.device(device),
        )
        self._binarize: Any = Binarize(
            onset=THRESHOLD, offset=THRESHOLD, min_duration_on=SHORTEST_S, min_duration_off=BRIDGE_S
        )

    def speech(self, samples: np.ndarray, rate: int) -> list[tuple[float, float]]:
        """Start and end, in seconds, of each stretch of speech in a channel: int16, shape (samples,)."""
        import torch

        heard = to_float(samples)
        if rate != RATE:
            heard = soxr.resample(heard, rate, RATE)
        scores = self._inference.slide(torch.from_numpy(self._filled(heard))[None], RATE, hook=None)
        found = self._binarize(scores).get_timeline()
        end = len(samples) / rate
        return [(max(0.0, stretch.start), min(stretch.end, end)) for stretch in found if stretch.start < end]

    def _filled(self, heard: np.ndarray) -> np.ndarray:
        """The channel and its beginning once more, until it fills the last window: pyannote would fill it with silence, beside
        which mere noise sounds like speech."""
        window, step = (round(seconds * RATE) for seconds in (self._inference.duration, self._inference.step))
        windows = 1 + max(0, -(-(len(heard) - window) // step))
        return np.pad(heard, (0, window + (windows - 1) * step - len(heard)), mode="wrap")


def installed() -> bool:
    """Whether pyannote.audio is here; it is not imported, which takes seconds."""
    return all(importlib.util.find_spec(name) for name in ("pyannote", "pyannote.audio"))


def import_pyannote() -> None:
    """Import pyannote.audio without a word: it warns at length where it could read no audio files, and here it reads none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("pyannote.audio")


def find_checkpoint(name: str) -> Path:
    """The checkpoint's file: here, or brought by the Hugging Face hub; raises `UnusableModel`."""
    if name == "bundled":
        return BUNDLED
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        path = path / "pytorch_model.bin"
        if not path.is_file():
            raise UnusableModel(f"the folder {name} holds no pytorch_model.bin; name a pyannote.audio checkpoint")
        return path
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, "pytorch_model.bin"))
    except Exception as error:  # gated, misspelt, offline: the hub's reasons are of many types
        reason = (" ".join(str(error).split()) or type(error).__name__)[:160]
        raise UnusableModel(
            f"the model '{name}' is no file here and can't be had from the hub ({reason}); where its page on "
            "huggingface.co asks for it, accept the terms there and set HF_TOKEN, or name a downloaded checkpoint's path"
        ) from None


def load_model(name: str, content: bytes) -> Any:
    """The model of a checkpoint's bytes, by pyannote.audio's own `Model.from_pretrained`; raises `UnusableModel`."""
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
        raise UnusableModel(f"{name} is no pyannote.audio checkpoint of weights alone ({reason})") from None
    if not architecture["module"].startswith("pyannote.audio.models."):
        raise UnusableModel(f"{name} is of {architecture['module']}, which is no model of pyannote.audio")
    if getattr(specifications, "resolution", None) is not Resolution.FRAME:
        raise UnusableModel(f"{name} tells no speech from silence frame by frame; name a segmentation model")
    return Model.from_pretrained(io.BytesIO(content), map_location="cpu")
