"""Flite in the calling process, through ctypes; run as a program, it serves requests.

    python -m stages.voices.flite_engine < REQUESTS > SPEECH

Requests are pickled pairs of text and voice; each response is a pickled `Speech` or error. The C
interface is flite's `flite.h` and `cst_item.h`.
"""

import ctypes
import os
import pickle
import re
import sys
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from manifests.records import Speech, Voice
from stages.voices.word_times import sound_span, words_from_starts

SPEAKERS = ("slt", "rms", "awb", "kal16")
"""The package's 16 kHz voices: a woman and two men recorded at CMU, and a diphone voice."""

ONE_PITCH = "rms"
"""Flite ignores the pitch for this one."""


@dataclass(frozen=True, slots=True)
class FliteVoice:
    """A speaker, with pitch and rate in percent of its own. Written as `slt?pitch=110&rate=95`; rms has a fixed pitch."""

    speaker: str
    pitch: int = 100
    rate: int = 100

    @classmethod
    def parse(cls, text: str) -> "FliteVoice":
        """Raises ValueError, with the problem, if the text is not a voice."""
        named = Voice.parse(text)
        speaker = named.speaker
        try:
            voice = cls(speaker, **named.numbers())
        except (ValueError, TypeError):
            raise ValueError(f"'{text}' is not like 'slt?pitch=110&rate=95'") from None
        if named.recorded or speaker not in SPEAKERS:
            raise ValueError(f"flite has no speaker '{speaker}'; its speakers are {', '.join(SPEAKERS)}")
        if not (50 <= voice.pitch <= 200 and 50 <= voice.rate <= 200):
            raise ValueError(f"'{text}' has a pitch or rate outside 50 to 200 percent")
        if speaker == ONE_PITCH and voice.pitch != 100:
            raise ValueError(f"flite's speaker '{speaker}' can't change its pitch; leave it at 100")
        return voice

    def __str__(self) -> str:
        return str(Voice(self.speaker, f"pitch={self.pitch}&rate={self.rate}"))


def version() -> str:
    """The version of flite's library, taken from its file name since no symbol has it. Raises OSError."""
    _library("libflite.so.1")
    mapped = Path("/proc/self/maps").read_text().split()
    return next(Path(word).name for word in mapped if "/libflite.so." in word).removeprefix("libflite.so.")


class Engine:
    """flite in this process. Raises OSError if its libraries are not installed."""

    def __init__(self) -> None:
        self._c = _library("libflite.so.1")
        self._c.flite_init()
        self._libc = ctypes.CDLL(None)
        self._voices: dict[str, int] = {}

    def speak(self, text: str, voice: FliteVoice) -> Speech:
        """The same text and voice give the same samples, regardless of earlier texts. Raises ValueError if flite produces
        no sound."""
        tokens = text.split()
        plain = [_ascii(token) for token in tokens]
        handle = self._voice(voice)
        self._libc.srand(1)  # the voices' noise comes from C's rand()
        utterance = self._c.flite_synth_text(" ".join(plain).encode(), handle)
        if not utterance:
            raise ValueError(f"flite could not speak {text[:60]!r}")
        try:
            wave = _Wave.from_address(self._c.utt_wave(utterance))
            rate = wave.sample_rate
            samples = np.zeros(0, np.int16)
            if wave.num_samples > 0:
                samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
            seconds = self._starts(utterance, plain)
        finally:
            self._c.delete_utterance(utterance)
        first, last = sound_span(samples)
        if not last:
            raise ValueError(f"flite produces no sound for {text[:60]!r}")
        starts = {token: round(start * rate) - first for token, start in seconds.items()}
        trimmed = samples[first:last].copy()
        return Speech(trimmed, rate, tuple(words_from_starts(tokens, starts, trimmed)))

    def _voice(self, voice: FliteVoice) -> int:
        if voice.speaker not in self._voices:
            name = f"cmu_us_{voice.speaker}"
            register = getattr(_library(f"libflite_{name}.so.1"), f"register_{name}")
            register.restype, register.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
            self._voices[voice.speaker] = register(None)
        handle = self._voices[voice.speaker]
        features = _Voice.from_address(handle).features
        self._c.feat_set_float(features, b"f0_shift", voice.pitch / 100)
        self._c.feat_set_float(features, b"duration_stretch", 100 / voice.rate)
        return handle

    def _starts(self, utterance: int, tokens: list[str]) -> dict[int, float]:
        """The start of each token's first word: {token index: seconds}."""
        ends = np.cumsum([len(token) + 1 for token in tokens])
        found: dict[int, float] = {}
        relation = self._c.utt_relation(utterance, b"Word")
        word = self._c.relation_head(relation) if relation else None
        while word:
            if self._c.ffeature_float(word, b"R:SylStructure.daughtern.daughtern.R:Segment.end") > 0:
                # The position is after the token and the following space.
                position = self._c.ffeature_float(word, b"R:Token.parent.file_pos")
                token = min(bisect_left(ends.tolist(), position), len(tokens) - 1)
                start = self._c.ffeature_float(word, b"R:SylStructure.daughter1.daughter1.R:Segment.p.end")
                found.setdefault(token, start)
            word = self._c.item_next(word)
        return found


class _Wave(ctypes.Structure):
    """cst_wave."""

    _fields_ = [
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    ]


class _Voice(ctypes.Structure):
    """The first fields of cst_voice."""

    _fields_ = [("name", ctypes.c_char_p), ("features", ctypes.c_void_p)]


@cache
def _library(name: str) -> ctypes.PyDLL:
    # PyDLL keeps the GIL: no other Python thread calls rand() while flite speaks; native threads may.
    library = ctypes.PyDLL(name, mode=ctypes.RTLD_GLOBAL)
    if name == "libflite.so.1":
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        for function, result, arguments in (
            ("flite_synth_text", pointer, [text, pointer]),
            ("utt_wave", pointer, [pointer]),
            ("utt_relation", pointer, [pointer, text]),
            ("relation_head", pointer, [pointer]),
            ("item_next", pointer, [pointer]),
            ("ffeature_float", ctypes.c_float, [pointer, text]),
            ("feat_set_float", None, [pointer, text, ctypes.c_float]),
            ("delete_utterance", None, [pointer]),
        ):
            getattr(library, function).restype = result
            getattr(library, function).argtypes = arguments
    return library


def _ascii(token: str) -> str:
    """A token as flite can read it: letters without accents, straight quotes; a dash if nothing remains."""
    folded = unicodedata.normalize(
        "NFKD", token.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')
    )
    return re.sub(r"[^\x21-\x7e]", "", folded) or "-"


def serve() -> None:
    """Serve requests until the end of input."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep flite's own output out of the responses
    engine = Engine()
    while True:
        try:
            text, voice = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        answer: Speech | ValueError | OSError
        try:
            answer = engine.speak(text, voice)
        except (ValueError, OSError) as error:
            answer = error
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    serve()
