"""synthesize: text → speech with a time for every word. The embedded engine is eSpeak NG.

Other engines are stages beside it, each named in the recipe by its import path: `stages.flite:FliteSynthesizer`,
`stages.speech_server:SpeechServerSynthesizer`, `stages.piper:PiperSynthesizer`.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from manifests.errors import RequestError
from manifests.frames import TARGET_RATE
from manifests.records import BadDialogue, Dialogue, Rejected, Speech, SpokenDialogue
from stages.base import Resources, Settings, Stage, reject
from stages.espeak import DEFAULT_AGENT_VOICE, Espeak, EspeakVoice, check_voice, voices

Request = tuple[str, str]
"""A text and the voice that is to speak it."""


class Synthesizer(Stage):
    """Speaks every turn. An engine says what voices it has and implements `speak`."""

    loads = True
    resources = Resources(cpus=0.2)

    @classmethod
    def voices(cls, settings: Any) -> list[str]:
        """What `cast` chooses from where the recipe names no voices: the agent's first, then the users'.

        What stands before a `?` is the speaker, what follows is a way of speaking; splits share no speaker.
        """
        return []

    @classmethod
    def check(cls, settings: Any, voices: Collection[str]) -> None:
        """Raise `RequestError` where the engine, or one of these voices, can't be used; called before any work."""

    @classmethod
    def about(cls, settings: Any, voice: str) -> dict[str, str]:
        """Where a voice comes from (`engine`, `source`) and what it may be used for (`licence`), for `corpus.json`."""
        return {}

    def speak(self, text: str, voice: str) -> Speech:
        """Speech of the text in the voice; raises ValueError, with the reason, where there can be none."""
        raise NotImplementedError

    def speak_all(self, requests: Sequence[Request]) -> list[Speech | ValueError]:
        """Speech of each text, or why there is none."""
        return [_attempt(self, *request) for request in requests]

    def process(self, records: Sequence[Dialogue]) -> list[SpokenDialogue | Rejected]:
        # What is said twice in one voice (takes of a dialogue share the agent's turns) is spoken once.
        requests = list(dict.fromkeys((turn.spoken, turn.voice) for dialogue in records for turn in dialogue.turns))
        spoken = dict(zip(requests, self.speak_all(requests), strict=True))
        return [_gathered(dialogue, spoken) for dialogue in records]


def _attempt(synthesizer: Synthesizer, text: str, voice: str) -> Speech | ValueError:
    try:
        speech = synthesizer.speak(text, voice)
    except ValueError as error:
        return error
    if not speech.words or not np.any(speech.samples):
        return ValueError("the voice made no sound of it")
    return speech


def _gathered(dialogue: Dialogue, spoken: dict[Request, Speech | ValueError]) -> SpokenDialogue | Rejected:
    speech = []
    for number, turn in enumerate(dialogue.turns, 1):
        result = spoken[turn.spoken, turn.voice]
        if isinstance(result, ValueError):
            message = f"Turn {number} ({turn.speaker}) could not be spoken: {result}."
            return reject(dialogue, "synthesize", BadDialogue("synthesis_failed", message))
        speech.append(result)
    return SpokenDialogue(dialogue, tuple(speech))


class SynthesizeSettings(Settings):
    """eSpeak NG has nothing to set beyond the voices, which `cast` chooses."""


class EspeakSynthesizer(Synthesizer):
    """Speak every turn with eSpeak NG; voices are strings such as `en-gb+f3?pitch=55&range=50&rate=170`."""

    Settings = SynthesizeSettings
    settings: SynthesizeSettings

    @classmethod
    def voices(cls, settings: Any) -> list[str]:
        return [str(DEFAULT_AGENT_VOICE), *voices()]

    @classmethod
    def check(cls, settings: Any, voices: Collection[str]) -> None:
        check_each(voices, check_voice)

    @classmethod
    def about(cls, settings: Any, voice: str) -> dict[str, str]:
        return {"engine": "eSpeak NG", "source": "espeakng-loader", "licence": "GPL-3.0-or-later (the engine)"}

    def setup(self) -> None:
        self.engine = Espeak()

    def speak(self, text: str, voice: str) -> Speech:
        samples, words = self.engine.speak(text, EspeakVoice.parse(voice))
        return Speech(samples, TARGET_RATE, tuple(words))


def check_each(voices: Collection[str], check: Callable[[str], object]) -> None:
    """Call `check` on each voice; where it raises ValueError, raise `RequestError` that names the voice."""
    for voice in sorted(voices):
        try:
            check(voice)
        except ValueError as error:
            raise RequestError(f"The voice '{voice}' can't be used: {error}") from None
