"""eSpeak NG, through ctypes and the library in the `espeakng-loader` wheel.

eSpeak NG is GPL-3; it is loaded at run time, and no part of it is in this project. Its C interface is
`espeak-ng/speak_lib.h`; the constants below have that file's names.
"""

import ctypes
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np

from manifests.records import Voice, Word
from stages.text.languages import ENGLISH, languages, name_of
from stages.voices.word_times import sound_span, words_from_starts

RATE = 22_050

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_EVENT_TERMINATED, _EVENT_WORD = 0, 1
_PARAMETERS = {"rate": 1, "pitch": 3, "pitch_range": 4}

_NAME = re.compile(r"[\w-]+(\+[\w-]+)?")
"""Language and variant: they become file names inside eSpeak's data, so paths are not allowed."""


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """A voice: eSpeak's language and variant, pitch and range from 0 to 99, rate in words per minute.

    Written as `en-gb+f3?pitch=55&range=50&rate=170` in manifests and recipes.
    """

    language: str
    variant: str = ""
    pitch: int = 50
    pitch_range: int = 50
    rate: int = 175

    @classmethod
    def parse(cls, text: str) -> "EspeakVoice":
        """Raises ValueError, with the problem, if the text is not a voice."""
        named = Voice.parse(text)
        language, _, variant = named.speaker.partition("+")
        try:
            values = named.numbers()
            voice = cls(language, variant, values.pop("pitch", 50), values.pop("range", 50), values.pop("rate", 175))
        except ValueError:
            raise ValueError(f"'{text}' is not like 'en-gb+f3?pitch=55&range=50&rate=170'") from None
        if (
            named.recorded
            or not _NAME.fullmatch(named.speaker)
            or values
            or not (0 <= voice.pitch <= 99 and 0 <= voice.pitch_range <= 99 and 80 <= voice.rate <= 450)
        ):
            raise ValueError(
                f"'{text}' is not like 'en-gb+f3?pitch=55&range=50&rate=170' (pitch and range 0 to 99, rate 80 to 450)"
            )
        return voice

    @property
    def name(self) -> str:
        """eSpeak's own name for the voice."""
        return f"{self.language}+{self.variant}" if self.variant else self.language

    def __str__(self) -> str:
        return str(Voice(self.name, f"pitch={self.pitch}&range={self.pitch_range}&rate={self.rate}"))


_ENGLISH = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
_VARIANTS = (
    "m1", "m2", "m3", "m4", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "Alex", "Alicia", "Andrea", "Andy", "Annie",
    "Gene", "Jacky", "Lee", "Michael", "Mike", "adam", "anika", "announcer", "belinda", "benjamin", "david",
    "ed", "edward", "grandma", "grandpa", "ian", "john", "linda", "marcelo", "max", "norbert", "paul", "quincy", "rob",
    "robert", "shelby", "steph", "travis", "victor", "zac",
)  # fmt: skip
"""Variants that speak clearly. Not included: whispers, robots, monsters, and Klatt voices (`caleb`), whose noise
comes from C's `rand()`, which any thread of the process may call in between."""


def _accents(language: str) -> tuple[str, ...]:
    if language == ENGLISH:
        return _ENGLISH
    return languages()[language].voices if language in languages() else (language,)


def agent_voice(language: str) -> EspeakVoice:
    """The default voice of a language, by ISO 639-1 code."""
    return EspeakVoice(_accents(language)[0], pitch=45, pitch_range=45, rate=160)


DEFAULT_AGENT_VOICE = agent_voice(ENGLISH)


def voices(language: str = ENGLISH) -> list[str]:
    """Many distinct user voices of a language: accents × variants, each with its own pitch, range and rate."""
    found = []
    for index, (variant, accent) in enumerate(product(_VARIANTS, _accents(language))):
        # Low-discrepancy steps spread pitch and rate evenly over the list without a random generator.
        pitch, pitch_range, rate = 30 + index * 37 % 41, 35 + index * 23 % 36, 145 + index * 31 % 51
        found.append(str(EspeakVoice(accent, variant, pitch, pitch_range, rate)))
    return found


class Espeak:
    """The engine. eSpeak NG has global state, so a process has one instance and speaks one text at a time."""

    def __init__(self) -> None:
        self._engine = _engine()

    def speak(self, text: str, voice: EspeakVoice) -> tuple[np.ndarray, list[Word]]:
        """Speak `text`: int16 samples at 22 050 Hz without silence at the ends, and a `Word` per whitespace token.

        The same text and voice give the same samples, regardless of earlier texts. Raises ValueError if eSpeak NG has
        no such voice or produces no sound.
        """
        readable = _without_hums(text, voice.language)
        samples, starts = self._engine.run(readable, voice)
        first, last = sound_span(samples)
        if not last:
            raise ValueError(f"eSpeak NG produces no sound for {text[:60]!r}")
        return samples[first:last].copy(), _words(text, readable, starts, samples[first:last], first)


def check_voice(voice: str, language: str = "") -> None:
    """Raise ValueError with the reason if `voice` can't speak, or speaks another language than the given one."""
    spoken = _engine().set_voice(EspeakVoice.parse(voice))
    if language and language not in spoken:
        raise ValueError(
            f"it speaks {name_of(spoken[0])}, but the recipe's language is {name_of(language)} (ingest.language); choose another voice "
            "or language"
        )


class _Event(ctypes.Structure):
    """espeak_EVENT."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


class _Voice(ctypes.Structure):
    """The first fields of espeak_VOICE; `languages` is a zero-terminated list of a priority byte and a
    zero-terminated name each."""

    _fields_ = [("name", ctypes.c_char_p), ("languages", ctypes.POINTER(ctypes.c_char))]


def _languages(library: ctypes.CDLL) -> list[str]:
    """The languages of the current voice, without regions."""
    current = library.espeak_GetCurrentVoice
    current.restype = ctypes.POINTER(_Voice)
    at, found = ctypes.cast(current().contents.languages, ctypes.c_void_p).value or 0, []
    while ctypes.string_at(at, 1) != b"\0":
        name = ctypes.string_at(at + 1)
        found.append(name.decode().partition("-")[0])
        at += len(name) + 2
    return found


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Engine:
    """The C library with its callback; see `_engine`."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(None)
        self._callback = _CALLBACK(self._receive)  # a reference, or it would be garbage-collected while in use
        self._start()

    def _restart(self) -> None:
        """Unload the library and load it again (about 2 ms).

        Static variables (glottal pulses, flutter) outlive an utterance and even `espeak_Terminate`: without this, speech
        would depend on earlier texts.
        """
        self._library.espeak_Terminate()
        _unload(self._library)
        self._start()

    def _start(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        rate = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, _INITIALIZE_DONT_EXIT)
        if rate != RATE:
            raise RuntimeError(f"eSpeak NG can't start (it returned {rate}); reinstall espeakng-loader")
        self._library.espeak_SetSynthCallback(self._callback)

    def set_voice(self, voice: EspeakVoice) -> list[str]:
        """Raises ValueError if there is no such voice; returns its languages in order, as ISO 639-1 codes if they have
        one."""
        # eSpeak NG ignores an unknown variant, so variants are checked here.
        known = not voice.variant or Path(espeakng_loader.get_data_path(), "voices", "!v", voice.variant).is_file()
        if not known or self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise ValueError(
                f"eSpeak NG has no voice '{voice.name}'; `stages.voices.espeak_engine.voices()` lists the available ones"
            )
        for name, value in (("rate", voice.rate), ("pitch", voice.pitch), ("pitch_range", voice.pitch_range)):
            if self._library.espeak_SetParameter(_PARAMETERS[name], value, 0) != 0:
                raise ValueError(f"eSpeak NG rejects {name} {value} for the voice '{voice.name}'")
        return _languages(self._library)

    def run(self, text: str, voice: EspeakVoice) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """Raw samples, and (character position, sample) of each word event."""
        self._restart()
        self.set_voice(voice)
        # Breath noise is seeded from the clock; that of Klatt voices comes from C's rand().
        self._library.espeak_ng_SetRandSeed(1)
        self._c.srand(1)
        self._chunks: list[np.ndarray] = []
        self._starts: list[tuple[int, int]] = []
        # Control characters would end the text, or be interpreted as commands to the engine.
        data = re.sub(r"[\x00-\x1f\x7f]", " ", text).encode() + b"\0"
        error = self._library.espeak_Synth(data, len(data), 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        if error:
            raise ValueError(f"eSpeak NG could not speak {text[:60]!r} (error {error})")
        samples = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        return samples, self._starts

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_TERMINATED:
            event = events[index]
            if event.type == _EVENT_WORD:
                self._starts.append((event.text_position - 1, event.sample))
            index += 1
        return 0


@cache
def _engine() -> _Engine:
    return _Engine()


_HUM = re.compile(r"\b(?:(?P<two>[Mm]+-?h+m+)|[Mm]m+|[Hh]m+)\b")


def _without_hums(text: str, language: str) -> str:
    """Hums as eSpeak NG can say them: "mm-hm" it spells in every language ("em em aitch em"; in French "millimètre")."""
    one = {"en": "hmm", "de": "hm"}.get(language.partition("-")[0], "em")
    return _HUM.sub(lambda hum: "um-hum" if hum["two"] else one, text)


def _words(text: str, readable: str, starts: list[tuple[int, int]], samples: np.ndarray, trimmed: int) -> list[Word]:
    """A word per whitespace token. A token may have several events ("2500") or none ("of a" is spoken as one).

    `starts` are positions in `readable`, which has as many tokens as `text`."""
    tokens = re.findall(r"\S+", text)
    first_start: dict[int, int] = {}
    begins = [match.start() for match in re.finditer(r"\S+", readable)]
    for position, sample in starts:
        first_start.setdefault(max(bisect_right(begins, position) - 1, 0), sample - trimmed)
    return words_from_starts(tokens, first_start, samples)


def _unload(library: ctypes.CDLL) -> None:
    """Unload a library, so that loading it again starts with fresh data; ctypes has no function for it."""
    close = ctypes.CDLL(None).dlclose
    close.argtypes = [ctypes.c_void_p]
    close(library._handle)
