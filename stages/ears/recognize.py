"""Speech recognizers that transcribe audio, and the word error rate of a turn.

A recognizer is pocketsphinx or any NeMo ASR model (CTC or transducer).

pocketsphinx has its model in its wheel and is weak: it recognizes flite and neural voices with a few percent of word
errors, but gets half of eSpeak NG's words wrong after the codec and three in four before (it needs faint noise instead
of digital silence), and it takes about a second per second of speech."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import jiwer
import numpy as np
import soxr
from pydantic import AfterValidator, Field

from manifests.errors import RequestError
from manifests.frames import to_samples
from manifests.pcm import to_float, to_int16
from manifests.records import ASIDES, DuplexDialogue, Segment, Speaker
from manifests.words import words_of
from salm_duplex_model.nemo_files import is_file_name, is_hub_name, load_nemo

RATE = 16_000
MARGIN_S = 0.1
"""Context that a recognizer hears on both sides of a turn."""


class Recognizer(Protocol):
    def __call__(self, speech: Sequence[np.ndarray]) -> list[str]:
        """The transcripts of float32 recordings at 16 kHz."""


def check_recognizer(name: str) -> None:
    """Raise ValueError if `name` can't be a recognizer here; nothing is loaded."""
    if name == "pocketsphinx":
        if not importlib.util.find_spec("pocketsphinx"):
            raise ValueError("pocketsphinx is not installed: pip install '.[asr]'")
        return
    if not (Path(name).is_file() if is_file_name(name) else is_hub_name(name)):
        raise ValueError(
            f"{name} is neither pocketsphinx nor a NeMo checkpoint (a .nemo file, or a name like nvidia/parakeet-ctc-0.6b)"
        )
    if not importlib.util.find_spec("nemo"):
        raise ValueError(f"{name} needs NeMo: pip install '.[nemo]'")


def _checked(name: str | None) -> str | None:
    if name is not None:
        check_recognizer(name)
    return name


RecognizerName = Annotated[
    str | None,
    Field(description="'pocketsphinx', a NeMo ASR model's .nemo file, or its hub name"),
    AfterValidator(_checked),
]
"""The type of a recognizer in a stage's settings."""


def load_recognizer(name: str) -> Recognizer:
    """`pocketsphinx`, a NeMo `.nemo` file, or a NeMo model's name; raises `RequestError` if it can't be had."""
    try:
        check_recognizer(name)
    except ValueError as error:
        raise RequestError(f"The recognizer can't be used: {error}.") from None
    return Pocketsphinx() if name == "pocketsphinx" else NemoRecognizer(name)


class Pocketsphinx:
    def __init__(self) -> None:
        from pocketsphinx import Decoder  # type: ignore[import-untyped]

        # Its second and third passes take a fifth of the time and do not help here.
        self._decoder: Any = Decoder(samprate=float(RATE), fwdflat=False, bestpath=False, loglevel="FATAL")

    def __call__(self, speech: Sequence[np.ndarray]) -> list[str]:
        return [self._words(samples) for samples in speech]

    def _words(self, samples: np.ndarray) -> str:
        self._decoder.reinit_feat()  # else it would stay adapted to the previous speaker
        self._decoder.start_utt()
        self._decoder.process_raw(to_int16(samples).tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr if found else ""


class NemoRecognizer:
    def __init__(self, name: str) -> None:
        self._model: Any = load_nemo("ASRModel", name)

    def __call__(self, speech: Sequence[np.ndarray]) -> list[str]:
        found = self._model.transcribe(list(speech), batch_size=len(speech), verbose=False)
        return [getattr(one, "text", one) for one in found]


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """A recognizer's transcript of a turn, the turn's number of words, and the word error rate."""

    segment: Segment
    words: int
    heard: str
    wer: float


def listen(
    recognize: Recognizer, record: DuplexDialogue, speaker: Speaker, samples: np.ndarray, rate: int
) -> list[HeardTurn]:
    """The turns of a speaker, without backchannels, in `samples` (int16, or float in [-1, 1]): the speaker's channel
    in full."""
    said = [s for s in record.timeline.segments if s.speaker == speaker and s.event not in ASIDES]
    spoken = [(segment, words) for segment in said if (words := words_of(segment.text_heard))]
    texts = recognize([_cut(samples, rate, segment) for segment, _ in spoken]) if spoken else []
    return [
        HeardTurn(segment, len(words), text, round(jiwer.wer(" ".join(words), " ".join(words_of(text))), 4))
        for (segment, words), text in zip(spoken, texts, strict=True)
    ]


def _cut(samples: np.ndarray, rate: int, segment: Segment) -> np.ndarray:
    """A turn's audio, float32 at 16 kHz; for a turn that was cut off, only up to its last complete word."""
    margin = to_samples(MARGIN_S, rate)
    end = segment.start + segment.words[-1].end if segment.cut_off and segment.words else segment.end + margin
    turn = samples[max(0, segment.start - margin) : end]
    heard = to_float(turn) if turn.dtype == np.int16 else turn.astype(np.float32)
    return heard if rate == RATE else soxr.resample(heard, rate, RATE)
