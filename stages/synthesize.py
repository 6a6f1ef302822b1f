"""synthesize: text → speech with word times, by any engine.

Each engine is a stage, named in the recipe by its import path: `stages.voices.espeak:EspeakSynthesizer` (the
default), `stages.voices.flite:FliteSynthesizer`, `stages.voices.speech_server:SpeechServerSynthesizer`,
`stages.voices.hibari:HibariSynthesizer`, `stages.voices.kokoro:KokoroSynthesizer`, `stages.voices.piper:PiperSynthesizer`,
`stages.voices.nemo_tts:FastPitchSynthesizer`, `stages.voices.magpie:MagpieSynthesizer`; `stages.voices.mixed:MixedSynthesizer` takes two.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from manifests.errors import RequestError
from manifests.records import BadDialogue, Dialogue, Rejected, Speech, SpokenDialogue, Turn
from stages.base import Settings, Stage, reject
from stages.ears.align import CtcAligner, check_aligner
from stages.text.languages import name_of
from stages.voices.recorded import recorded_speech

Request = tuple[str, str]
"""A text and the voice that speaks it."""


class SynthesizerSettings(Settings):
    language: str = Field(default="en", description="the language of the texts; default: the recipe's")
    aligner: str = Field(
        default="",
        description="a CTC recognizer that finds word times when a recording or an engine has none: a NeMo .nemo "
        "file or a Hugging Face folder; without one, they are estimated and marked as such",
    )
    reference: str = Field(
        default="",
        description="a text spoken in the agent's voice as each cut's `context_audio`, which a multi-voice model "
        "uses as its voice prompt",
    )


Own = TypeVar("Own", bound=SynthesizerSettings)


class Synthesizer(Stage[Dialogue, SpokenDialogue, Own]):
    """Speaks every turn except recorded ones. An engine lists its voices and implements `speak`."""

    languages: ClassVar[tuple[str, ...]] = ()
    """The languages it speaks, if they do not depend on its settings."""

    @classmethod
    def voices(cls, settings: Own) -> list[str]:
        """The default voices for `cast`: the agent's first, then the users'.

        They are in the string form of `Voice`, whose speaker and style the engine interprets; splits share no speaker.
        """
        return []

    @classmethod
    def check(cls, settings: Own) -> None:
        if cls.languages and settings.language not in cls.languages:
            known = ", ".join(map(name_of, cls.languages))
            raise RequestError(
                f"The synthesizer {cls.__name__} speaks {known}, but the recipe's language is {name_of(settings.language)} "
                "(ingest.language); choose another synthesizer or language."
            )
        if settings.aligner:
            check_aligner(settings.aligner)

    @classmethod
    def check_voices(cls, settings: Own, voices: Collection[str]) -> None:
        """Raise `RequestError` if one of these voices can't be used; called before any work, after `check`."""

    @classmethod
    def about(cls, settings: Own, voice: str) -> dict[str, str]:
        """A voice's origin (`engine`, `source`) and `license`, for `corpus.json`."""
        return {}

    def setup(self) -> None:
        self.aligner = CtcAligner(self.settings.aligner) if self.settings.aligner else None

    def made_by(self) -> dict[str, str]:
        return {"aligner_sha256": self.aligner.sha256} if self.aligner else {}

    def speak(self, text: str, voice: str) -> Speech:
        """The text spoken in the voice; raises ValueError with the reason if it can't be."""
        raise NotImplementedError

    def speak_all(self, requests: Sequence[Request]) -> list[Speech | ValueError]:
        """Speech of each text, or the reason why there is none."""
        return [_attempt(self, *request) for request in requests]

    def process(self, records: Sequence[Dialogue]) -> list[SpokenDialogue | Rejected]:
        # Texts that occur twice in one voice (takes of a dialogue share the agent's turns) are spoken once.
        turns = [turn for dialogue in records for turn in dialogue.turns if not turn.recording]
        requests = [(turn.spoken, turn.voice) for turn in turns]
        if self.settings.reference:
            requests += [(self.settings.reference, turn.voice) for turn in turns if turn.speaker == "agent"]
        requests = list(dict.fromkeys(requests))
        spoken = dict(zip(requests, self.speak_all(requests), strict=True))
        return [self._gathered(dialogue, spoken) for dialogue in records]

    def _gathered(self, dialogue: Dialogue, spoken: Mapping[Request, Speech | ValueError]) -> SpokenDialogue | Rejected:
        speech = []
        for number, turn in enumerate(dialogue.turns, 1):
            try:
                speech.append(self._of_turn(turn, spoken))
            except BadDialogue as error:
                error = BadDialogue(error.reason, f"Turn {number} ({turn.speaker}): {error}")
                return reject(dialogue, "synthesize", error)
            except ValueError as error:
                message = f"Turn {number} ({turn.speaker}) could not be spoken: {error}."
                return reject(dialogue, "synthesize", BadDialogue("synthesis_failed", message))
        try:
            return SpokenDialogue(dialogue, tuple(speech), self._reference(dialogue, tuple(speech), spoken))
        except ValueError as error:
            message = f"The agent's reference could not be spoken: {error}."
            return reject(dialogue, "synthesize", BadDialogue("synthesis_failed", message))

    def _reference(
        self, dialogue: Dialogue, speech: Sequence[Speech], spoken: Mapping[Request, Speech | ValueError]
    ) -> Speech | None:
        """A reference of the agent's voice outside the dialogue; for a recorded agent, its first turn."""
        if not self.settings.reference:
            return None
        number, turn = next((n, turn) for n, turn in enumerate(dialogue.turns) if turn.speaker == "agent")
        return speech[number] if turn.recording else _given(spoken[self.settings.reference, turn.voice])

    def _of_turn(self, turn: Turn, spoken: Mapping[Request, Speech | ValueError]) -> Speech:
        if turn.recording:
            return recorded_speech(turn, turn.recording, self.aligner)
        return _given(spoken[turn.spoken, turn.voice])


def _given(result: Speech | ValueError) -> Speech:
    if isinstance(result, ValueError):
        raise result
    return result


def _attempt(synthesizer: Synthesizer[Own], text: str, voice: str) -> Speech | ValueError:
    try:
        speech = synthesizer.speak(text, voice)
    except ValueError as error:
        return error
    if not speech.words or not np.any(speech.samples):
        return ValueError("the voice produced no sound")
    return speech


def check_each(voices: Collection[str], check: Callable[[str], object]) -> None:
    """Call `check` on each voice; turn a ValueError into a `RequestError` naming the voice."""
    for voice in sorted(voices):
        try:
            check(voice)
        except ValueError as error:
            raise RequestError(f"The voice '{voice}' can't be used: {error}") from None
