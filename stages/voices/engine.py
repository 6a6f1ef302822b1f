"""Shared code of neural synthesizers: a cache, and word times for speech without any."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from pydantic import Field

from manifests.errors import RequestError
from manifests.records import Speech
from stages.ears.align import CtcAligner
from stages.synthesize import Synthesizer, SynthesizerSettings
from stages.voices.speech_cache import SpeechCache
from stages.voices.word_times import sound_span, words_from_starts

_SAYS_NOTHING = {"license", "voices"}
"""Settings that do not affect the speech."""


class EngineSettings(SynthesizerSettings):
    license: str = Field(default="unknown", description="the license of the voices, recorded in corpus.json")
    # The cache's location does not affect the corpus's content, so it is not part of the recipe's identity.
    cache: str = Field(default="", exclude=True, description="a folder in which speech is cached; empty: no cache")


OfEngine = TypeVar("OfEngine", bound=EngineSettings)


class EngineSynthesizer(Synthesizer[OfEngine]):
    """A synthesizer with a cache, whose engine may have no word times; an engine implements `utter`."""

    def setup(self) -> None:
        super().setup()
        self.cache = None
        if self.settings.cache:
            facts = {"engine": type(self).__name__, **self.settings.model_dump(exclude=_SAYS_NOTHING), **self.made_by()}
            self.cache = SpeechCache(self.settings.cache, facts)

    def utter(self, text: str, voice: str) -> tuple[np.ndarray, int, Mapping[int, int] | None]:
        """int16 samples, their rate, and {token index: sample} if the engine knows when words start.

        Raises ValueError, with the reason, if the text can't be spoken.
        """
        raise NotImplementedError

    def speak(self, text: str, voice: str) -> Speech:
        if self.cache and (known := self.cache.get(text, voice)):
            return known
        speech = finished(text, *self.utter(text, voice), aligner=self.aligner)
        if self.cache:
            self.cache.put(text, voice, speech)
        return speech


def finished(
    text: str, samples: np.ndarray, rate: int, starts: Mapping[int, int] | None, aligner: CtcAligner | None
) -> Speech:
    """Speech trimmed of silence, with word times from the engine, from the aligner, or estimated.

    Raises ValueError if it is silent.
    """
    tokens = text.split()
    first, last = sound_span(samples)
    if not last or not tokens:
        raise ValueError("the voice produced no sound")
    samples = np.ascontiguousarray(samples[first:last])
    if starts is not None:
        own, kind = {token: start - first for token, start in starts.items()}, "engine"
    elif aligner is not None and (own := aligner.starts(samples, rate, tokens)):
        kind = "aligned"
    else:
        own, kind = {}, "estimated"
    return Speech(samples, rate, tuple(words_from_starts(tokens, own, samples)), kind)  # type: ignore[arg-type]


def voices_of_model(name: str, speakers: Iterable[int] | None) -> dict[str, int | None]:
    """A model's voices and their speaker numbers: `NAME#N`, or just `NAME` for a single speaker."""
    return {name: None} if speakers is None else {f"{name}#{speaker}": speaker for speaker in speakers}


def check_known(where: str, known: Sequence[str], voices: Collection[str]) -> None:
    """Raise `RequestError` if a voice is not one of the known ones."""
    for voice in sorted(voices):
        if voice not in known:
            shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
            raise RequestError(f"The voice '{voice}' can't be used: {where} has {shown}.")
