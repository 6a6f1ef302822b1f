"""synthesize: text → speech with a time for every word. The embedded engine is eSpeak NG."""

from collections.abc import Sequence

import numpy as np

from manifests.frames import TARGET_RATE
from manifests.records import BadDialogue, Dialogue, Rejected, Speech, SpokenDialogue
from stages.base import Resources, Settings, Stage, reject
from stages.espeak import Espeak, EspeakVoice, check_voice
from stages.recorded import recorded_speech


class SynthesizeSettings(Settings):
    """eSpeak NG has nothing to set beyond the voices, which `cast` chooses."""


class EspeakSynthesizer(Stage):
    """Speak every turn but recorded ones with eSpeak NG; voices are strings such as `en-gb+f3?pitch=55&range=50&rate=170`."""

    Settings = SynthesizeSettings
    settings: SynthesizeSettings
    loads = True
    resources = Resources(cpus=0.2)
    check_voice = staticmethod(check_voice)

    def setup(self) -> None:
        self.engine = Espeak()

    def process(self, records: Sequence[Dialogue]) -> list[SpokenDialogue | Rejected]:
        return [self._synthesize(dialogue) for dialogue in records]

    def _synthesize(self, dialogue: Dialogue) -> SpokenDialogue | Rejected:
        speech = []
        for number, turn in enumerate(dialogue.turns, 1):
            try:
                if turn.recording:
                    speech.append(recorded_speech(turn, turn.recording))
                    continue
                samples, words = self.engine.speak(turn.spoken, EspeakVoice.parse(turn.voice))
                if not words or not np.any(samples):
                    raise ValueError("the voice made no sound of it")
            except BadDialogue as error:
                error = BadDialogue(error.reason, f"Turn {number} ({turn.speaker}): {error}")
                return reject(dialogue, "synthesize", error)
            except ValueError as error:
                message = f"Turn {number} ({turn.speaker}) could not be spoken: {error}."
                return reject(dialogue, "synthesize", BadDialogue("synthesis_failed", message))
            speech.append(Speech(samples, TARGET_RATE, tuple(words)))
        return SpokenDialogue(dialogue, tuple(speech))
