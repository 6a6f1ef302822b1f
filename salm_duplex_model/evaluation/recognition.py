"""Speech recognizers that say what an agent's audio sounds like: pocketsphinx, or any NeMo ASR model.

pocketsphinx brings its model in its wheel and is weak: of eSpeak NG's words through the codec it gets one in two wrong (measured
on 192; three in four without the codec, whose faint noise it wants in place of exact silence), and it takes about a second
for a second of speech. Its figures say little about the words themselves; the reference agent's
figure beside them is the mark to compare with.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr

from manifests.errors import RequestError
from manifests.frames import TARGET_RATE
from salm_duplex_model.evaluation.timeline import Interval

RATE = 16_000
MARGIN_S = 0.1
"""A recognizer hears so much more on both sides of a turn."""


class Recognizer(Protocol):
    def __call__(self, speech: Sequence[np.ndarray]) -> list[str]:
        """The words of float32 recordings at 16 kHz."""


def load_recognizer(name: str) -> Recognizer:
    """`pocketsphinx`, or the path of a NeMo `.nemo` checkpoint; raises `RequestError` where it can't be had."""
    if name == "pocketsphinx":
        try:
            return Pocketsphinx()
        except ImportError:
            raise RequestError("--asr pocketsphinx needs `pip install pocketsphinx`.") from None
    path = Path(name)
    if path.suffix != ".nemo" or not path.is_file():
        raise RequestError(f"--asr {name} is neither pocketsphinx nor a NeMo checkpoint (a .nemo file).")
    try:
        return NemoRecognizer(path)
    except ImportError:
        raise RequestError("--asr with a NeMo checkpoint needs `pip install '.[nemo]'`.") from None
    except Exception as error:  # whatever NeMo raises on a checkpoint that is none
        raise RequestError(
            f"The NeMo checkpoint {path} can't be loaded: {' '.join(str(error).split())[:160]}."
        ) from None


def transcribe(recognizer: Recognizer, audio: np.ndarray, turns: Sequence[Interval]) -> str:
    """The words of the turns of an agent's audio, float (samples,) at 22 050 Hz."""
    spans = [
        audio[max(0, round((turn.start - MARGIN_S) * TARGET_RATE)) : round((turn.end + MARGIN_S) * TARGET_RATE)]
        for turn in turns
    ]
    heard = recognizer([soxr.resample(span.astype(np.float32), TARGET_RATE, RATE) for span in spans]) if spans else []
    return " ".join(heard)


class Pocketsphinx:
    def __init__(self) -> None:
        from pocketsphinx import Decoder  # type: ignore[import-untyped]

        # Its second and third pass take a fifth of the time and do not help here.
        self._decoder: Any = Decoder(samprate=float(RATE), fwdflat=False, bestpath=False, loglevel="FATAL")

    def __call__(self, speech: Sequence[np.ndarray]) -> list[str]:
        return [self._words(samples) for samples in speech]

    def _words(self, samples: np.ndarray) -> str:
        self._decoder.start_utt()
        self._decoder.process_raw((samples.clip(-1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr if found else ""


class NemoRecognizer:
    def __init__(self, path: Path) -> None:
        from nemo.collections.asr.models import ASRModel

        self._model: Any = ASRModel.restore_from(str(path), map_location="cpu").eval()

    def __call__(self, speech: Sequence[np.ndarray]) -> list[str]:
        found = self._model.transcribe(list(speech), batch_size=len(speech), verbose=False)
        return [getattr(one, "text", one) for one in found]
