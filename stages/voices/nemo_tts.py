"""synthesize with NeMo: FastPitch, whose durations give word times, and HiFi-GAN as the vocoder."""

from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from manifests.errors import RequestError
from manifests.files import sha256_of
from manifests.pcm import to_int16
from salm_duplex_model.nemo_files import check_class, check_name, load_nemo, nemo_config, nemo_file
from stages.voices.engine import EngineSettings, EngineSynthesizer, check_known, voices_of_model

_CLASS = {"fastpitch": "FastPitchModel", "hifigan": "HifiGanModel"}


class FastPitchSettings(EngineSettings):
    fastpitch: str = Field(
        default="nvidia/tts_en_fastpitch",
        description="a FastPitch model: a .nemo file, or a name on the hub or NGC; a corpus needs several speakers",
    )
    hifigan: str = Field(default="nvidia/tts_hifigan", description="a HiFi-GAN model for its spectrograms, likewise")
    speakers: list[int] = Field(
        default_factory=list, description="speaker numbers of a multi-speaker FastPitch; empty: all"
    )

    @field_validator("fastpitch", "hifigan")
    @classmethod
    def _is_usable(cls, name: str, info: ValidationInfo) -> str:
        """Checks what can be checked before any work, without loading or downloading the model."""
        check_name(name, lambda path: check_class(path, _CLASS[str(info.field_name)]), "a NeMo voice")
        return name


class FastPitchSynthesizer(EngineSynthesizer[FastPitchSettings]):
    """Speak every turn with FastPitch and HiFi-GAN, on the GPU if the worker has one, else on the CPU.

    A voice is the model's name, with `#N` for speaker N of a multi-speaker model. Turns are spoken one at a time, so the
    speech depends only on the text and the voice.
    """

    @classmethod
    def voices(cls, settings: FastPitchSettings) -> list[str]:
        return list(_voices(settings))

    @classmethod
    def check(cls, settings: FastPitchSettings) -> None:
        super().check(settings)
        _check_pair(settings)

    @classmethod
    def check_voices(cls, settings: FastPitchSettings, voices: Collection[str]) -> None:
        check_known(settings.fastpitch, list(_voices(settings)), voices)

    @classmethod
    def about(cls, settings: FastPitchSettings, voice: str) -> dict[str, str]:
        return {
            "engine": "NeMo FastPitch and HiFi-GAN",
            "source": f"{settings.fastpitch}, {settings.hifigan}",
            "license": settings.license,
            **_digests(settings),
        }

    def setup(self) -> None:
        from omegaconf import OmegaConf

        self.device = prepare_torch()
        self._speakers = _voices(self.settings)
        path = nemo_file(self.settings.fastpitch, "FastPitchModel")
        # The text is already normalized, and building NeMo's normalizer takes a minute.
        config = {key: value for key, value in nemo_config(path).items() if key != "text_normalizer"}
        options = {"override_config_path": OmegaConf.create(config)}
        self._fastpitch = load_nemo("FastPitchModel", str(path), **options).to(self.device)
        self._hifigan = load_nemo("HifiGanModel", str(nemo_file(self.settings.hifigan, "HifiGanModel"))).to(self.device)
        super().setup()

    def made_by(self) -> dict[str, str]:
        facts = {"nemo_toolkit": version("nemo_toolkit"), "device": device_name(self.device), **_digests(self.settings)}
        return super().made_by() | facts

    def utter(self, text: str, voice: str) -> tuple[np.ndarray, int, Mapping[int, int] | None]:
        import torch

        if voice not in self._speakers:
            raise ValueError(f"{self.settings.fastpitch} has no voice '{voice}'")
        tokens = self._spell(text)
        if not self._without_spaces(tokens):
            raise ValueError(f"{self.settings.fastpitch} has no sound for any of its characters")
        with torch.inference_mode():
            spectrogram, frames, durations, *_ = self._fastpitch(
                text=torch.tensor([tokens], device=self.device),
                durs=None,
                pitch=None,
                speaker=None if (n := self._speakers[voice]) is None else torch.tensor([n], device=self.device),
            )
            if not int(frames):
                raise ValueError(f"{self.settings.fastpitch} predicts a duration of zero for it")
            audio = self._hifigan.convert_spectrogram_to_audio(spec=spectrogram)[0].cpu().numpy()
        samples = to_int16(audio)
        # FastPitch rounds each duration to whole spectrogram frames.
        lengths = np.floor(durations[0].float().cpu().numpy() + np.float32(0.5)).astype(int)
        starts = (np.cumsum(lengths) - lengths) * len(samples) // int(frames)
        return samples, int(self._hifigan.sample_rate), self._word_starts(text.split(), tokens, starts.tolist())

    def _word_starts(self, words: list[str], tokens: list[int], starts: Sequence[int]) -> dict[int, int] | None:
        """The start of each word's first token, {word index: sample}; a word that the model does not speak is missing.

        None if the tokens can't be separated into words: spaces must separate exactly the tokens of the single words.
        """
        space = self._space
        if space is None:
            return None
        spelled = {index: own for index, word in enumerate(words) if (own := self._without_spaces(self._spell(word)))}
        runs = [
            list(run) for is_space, run in groupby(enumerate(tokens), lambda item: item[1] == space) if not is_space
        ]
        if [[token for _, token in run] for run in runs] != list(spelled.values()):
            return None
        return {index: starts[run[0][0]] for index, run in zip(spelled, runs, strict=True)}

    def _spell(self, text: str) -> list[int]:
        tokens: list[int] = self._fastpitch.parse(text, normalize=False)[0].tolist()
        return tokens

    def _without_spaces(self, tokens: list[int]) -> list[int]:
        return [token for token in tokens if token != self._space]

    @property
    def _space(self) -> int | None:
        """The token between words; it is unknown for older models."""
        return getattr(self._fastpitch.vocab, "space", None)


def prepare_torch() -> str:
    """Make torch deterministic, limit NeMo's log to errors, and return the device to use."""
    import torch
    from nemo.utils import logging

    logging.setLevel(logging.ERROR)  # else it reports every character that a model has no sound for
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """For `corpus.json`: speech may differ between devices."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device


def _config(name: str, class_name: str) -> dict[str, Any]:
    return check_class(nemo_file(name, class_name), class_name)


def _voices(settings: FastPitchSettings) -> dict[str, int | None]:
    """The voices of a model and their speaker numbers; raises `RequestError` if it lacks a speaker."""
    config = _config(settings.fastpitch, "FastPitchModel")
    number = int(config.get("n_speakers") or 1)
    name = Path(settings.fastpitch).name.removesuffix(".nemo")
    for speaker in settings.speakers:
        if number <= 1 or not 0 <= speaker < number:
            has = f"speakers 0 to {number - 1}" if number > 1 else "one speaker, without a number"
            raise RequestError(f"{settings.fastpitch} has no speaker {speaker} of synthesize.speakers; it has {has}.")
    return voices_of_model(name, (settings.speakers or range(number)) if number > 1 else None)


def _check_pair(settings: FastPitchSettings) -> None:
    """Raise `RequestError` if the vocoder takes other spectrograms than those that FastPitch predicts."""
    fastpitch = _config(settings.fastpitch, "FastPitchModel")
    hifigan = _config(settings.hifigan, "HifiGanModel").get("preprocessor", {})
    makes = (fastpitch.get("n_mel_channels"), fastpitch.get("preprocessor", {}).get("sample_rate"))
    takes = (hifigan.get("nfilt"), hifigan.get("sample_rate"))
    if makes != takes and all(isinstance(number, int) for number in (*makes, *takes)):
        raise RequestError(
            f"{settings.fastpitch} makes spectrograms with {makes[0]} bands at {makes[1]} Hz, but {settings.hifigan} takes "
            f"{takes[0]} bands at {takes[1]} Hz; name two models that match."
        )


def _digests(settings: FastPitchSettings) -> dict[str, str]:
    names = {key: getattr(settings, key) for key in _CLASS}
    return {f"{key}_sha256": sha256_of(nemo_file(name, _CLASS[key])) for key, name in names.items()}
