"""eSpeak NG: the embedded default, more than 300 voices, hundreds of times faster than real time."""

from collections.abc import Collection

from manifests.frames import TARGET_RATE
from manifests.records import Speech
from stages.synthesize import Synthesizer, SynthesizerSettings, check_each
from stages.voices.espeak_engine import Espeak, EspeakVoice, agent_voice, check_voice, voices


class EspeakSynthesizer(Synthesizer[SynthesizerSettings]):
    """Speaks with eSpeak NG; voices are strings such as `en-gb+f3?pitch=55&range=50&rate=170`."""

    @classmethod
    def voices(cls, settings: SynthesizerSettings) -> list[str]:
        return [str(agent_voice(settings.language)), *voices(settings.language)]

    @classmethod
    def check_voices(cls, settings: SynthesizerSettings, voices: Collection[str]) -> None:
        check_each(voices, lambda voice: check_voice(voice, settings.language))

    @classmethod
    def about(cls, settings: SynthesizerSettings, voice: str) -> dict[str, str]:
        return {"engine": "eSpeak NG", "source": "espeakng-loader", "license": "GPL-3.0-or-later (the engine)"}

    def setup(self) -> None:
        super().setup()
        self.engine = Espeak()

    def speak(self, text: str, voice: str) -> Speech:
        samples, words = self.engine.speak(text, EspeakVoice.parse(voice))
        return Speech(samples, TARGET_RATE, tuple(words))
