"""synthesize with NeMo's MagpieTTS, which samples a codec's codes frame by frame, in the voice of a speaker or a
recording."""

import hashlib
import json
import tarfile
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from pydantic import Field, field_validator

from manifests.errors import RequestError
from manifests.files import sha256_of
from manifests.pcm import to_int16
from salm_duplex_model.nemo_files import check_class, check_name, load_nemo, nemo_config, nemo_file
from stages.voices.engine import EngineSettings, EngineSynthesizer, check_known, voices_of_model
from stages.voices.nemo_tts import device_name, prepare_torch


class MagpieSettings(EngineSettings):
    magpie: str = Field(
        default="nvidia/magpie_tts_multilingual_357m",
        description="a MagpieTTS model: a .nemo file, or a hub name",
    )
    codec: str = Field(default="", description="its codec, likewise; default: the model's own")
    prompts: str = Field(
        default="", description="for a model without built-in speakers: a folder of WAV files, one per voice"
    )

    @field_validator("magpie")
    @classmethod
    def _is_usable(cls, name: str) -> str:
        """Checks what can be checked before any work, without loading or downloading the model."""
        check_name(name, lambda path: check_class(path, "MagpieTTSModel"), "a NeMo voice")
        return name


class MagpieSynthesizer(EngineSynthesizer[MagpieSettings]):
    """Speak every turn with MagpieTTS, on the GPU if the worker has one, else, slowly, on the CPU.

    A voice is the model's name with `#N` for its speaker N, or the name of a prompt: a recording of a few seconds,
    whose voice a model without built-in speakers imitates. Turns are spoken one at a time, and sampling is seeded by
    the text and the voice, so the speech depends only on these."""

    @classmethod
    def voices(cls, settings: MagpieSettings) -> list[str]:
        return list(_voices(settings))

    @classmethod
    def check(cls, settings: MagpieSettings) -> None:
        super().check(settings)
        config = nemo_config(nemo_file(settings.magpie, "MagpieTTSModel"))
        _check_language(settings, list(config.get("text_tokenizers", {})))
        check_class(_codec_file(settings), "AudioCodecModel")
        for prompt in _voices(settings).values():
            if isinstance(prompt, Path):
                _check_prompt(prompt)

    @classmethod
    def check_voices(cls, settings: MagpieSettings, voices: Collection[str]) -> None:
        check_known(settings.prompts or settings.magpie, list(_voices(settings)), voices)

    @classmethod
    def about(cls, settings: MagpieSettings, voice: str) -> dict[str, str]:
        facts = {"engine": "NeMo MagpieTTS", "source": settings.magpie, "license": settings.license}
        prompt = _voices(settings).get(voice)
        return facts | _digests(settings) | ({"prompt_sha256": sha256_of(prompt)} if isinstance(prompt, Path) else {})

    def setup(self) -> None:
        from omegaconf import OmegaConf

        self.device = prepare_torch()
        self._known = _voices(self.settings)
        path = nemo_file(self.settings.magpie, "MagpieTTSModel")
        config = {**nemo_config(path), "codecmodel_path": str(_codec_file(self.settings))}
        model = load_nemo("MagpieTTSModel", str(path), override_config_path=OmegaConf.create(config))
        for tokenizer in model.tokenizer.tokenizers.values():
            if hasattr(getattr(tokenizer, "g2p", None), "phoneme_probability"):
                tokenizer.g2p.phoneme_probability = 1.0  # in training, some random words stay letters
        self._model = model.to(self.device)
        self._contexts: dict[str, dict[str, Any]] = {}
        super().setup()

    def made_by(self) -> dict[str, str]:
        prompts = {name: sha256_of(prompt) for name, prompt in self._known.items() if isinstance(prompt, Path)}
        together = hashlib.sha256(json.dumps(prompts).encode()).hexdigest()
        facts = {"nemo_toolkit": version("nemo_toolkit"), "device": device_name(self.device), **_digests(self.settings)}
        return super().made_by() | facts | ({"prompts_sha256": together} if prompts else {})

    def utter(self, text: str, voice: str) -> tuple[np.ndarray, int, Mapping[int, int] | None]:
        import torch
        from nemo.collections.tts.parts.utils.tts_dataset_utils import (
            chunk_text_for_inference,
            get_tokenizer_for_language,
        )

        if voice not in self._known:  # a dialogue must not name files outside the folder
            raise ValueError(f"{self.settings.prompts or self.settings.magpie} has no voice '{voice}'")
        model, language = self._model, self.settings.language
        tokenizer = get_tokenizer_for_language(language, list(model.tokenizer.tokenizers))
        # A long text is spoken sentence by sentence, each one continuing from the previous one.
        chunks, _, _ = chunk_text_for_inference(text, language, tokenizer, model.tokenizer, model.eos_id)
        state, codes = model.create_chunk_state(batch_size=1), []
        seed = hashlib.sha256(f"{voice}\x1f{text}".encode()).digest()
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(int.from_bytes(seed[:8], "big"))
            for number, tokens in enumerate(chunks, 1):
                batch = {
                    "text": tokens[None].to(self.device),
                    "text_lens": torch.tensor([len(tokens)], device=self.device),
                    **self._context(voice),
                }
                try:
                    spoken = model.generate_speech(
                        batch,
                        chunk_state=state,
                        end_of_text=[number == len(chunks)],
                        beginning_of_text=number == 1,
                        use_local_transformer_for_inference=hasattr(model, "local_transformer"),
                    )
                except IndexError:  # its attention is on no position of the text
                    raise ValueError("the model lost its place in it") from None
                length, stacked = int(spoken.predicted_codes_lens[0]), model.frame_stacking_factor
                if length >= model.inference_parameters.max_decoder_steps // stacked * stacked:
                    raise ValueError("the model did not reach the end of it")
                codes.append(spoken.predicted_codes[:, :, :length])
            together = torch.cat(codes, dim=2)
            lengths = torch.tensor([together.shape[2]], device=self.device)
            audio = model._codec_helper.codes_to_audio(together, lengths)[0][0].cpu().numpy()
        samples = to_int16(audio)
        return samples, int(model.output_sample_rate), None

    def _context(self, voice: str) -> dict[str, Any]:
        """The model's inputs that determine the voice."""
        if voice not in self._contexts:
            import torch

            known = self._known[voice]
            if isinstance(known, Path):
                audio = torch.from_numpy(self._prompt(known))[None].to(self.device)
                lengths = torch.tensor([audio.shape[1]], device=self.device)
                codes, lengths = self._model._codec_helper.audio_to_codes(audio, lengths)
                self._contexts[voice] = {
                    "context_audio_codes": codes,
                    "context_audio_codes_lens": lengths,
                    # A model that also accepts a description of the voice must be given an empty one.
                    "has_text_context": torch.tensor([False], device=self.device),
                    "context_text_tokens": torch.zeros(1, 1, dtype=torch.long, device=self.device),
                    "context_text_tokens_lens": torch.ones(1, dtype=torch.long, device=self.device),
                }
            else:
                self._contexts[voice] = {"speaker_indices": known}
        return self._contexts[voice]

    def _prompt(self, path: Path) -> np.ndarray:
        """A prompt at the codec's rate, with the length used in the model's training: cut or repeated."""
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = soxr.resample(audio.mean(axis=1), rate, self._model.sample_rate, quality="HQ")
        shortest, longest = (
            round(seconds * self._model.sample_rate)
            for seconds in (
                self._model.cfg.get("context_duration_min", 0),
                self._model.cfg.get("context_duration_max", 10),
            )
        )
        return np.resize(mono, max(shortest, len(mono)))[:longest]


@cache
def speakers_within(path: Path) -> int:
    """The number of built-in speakers of a MagpieTTS `.nemo` file, from the shapes of its weights, which are not
    loaded."""
    import torch
    from torch.serialization import skip_data

    with tarfile.open(path) as archive, skip_data():
        weights = archive.extractfile(next(m for m in archive if m.name.endswith("model_weights.ckpt")))
        state = torch.load(weights, map_location="cpu", weights_only=True)  # type: ignore[arg-type]
    own = state.get("baked_context_embedding.weight")
    return 0 if own is None else int(own.shape[0])


def _voices(settings: MagpieSettings) -> Mapping[str, int | Path | None]:
    """Each voice's speaker number, or its prompt; raises `RequestError` if the model needs the other."""
    speakers = speakers_within(nemo_file(settings.magpie, "MagpieTTSModel"))
    if settings.prompts:
        if speakers:
            raise RequestError(
                f"{settings.magpie} has {speakers} built-in speakers and takes no prompts; leave synthesize.prompts empty."
            )
        prompts = {path.stem: path for path in sorted(Path(settings.prompts).glob("*.wav"))}
        if not prompts:
            raise RequestError(
                f"The folder {settings.prompts} of synthesize.prompts contains no WAV file; add one for each voice."
            )
        return dict(prompts)
    if not speakers:
        raise RequestError(
            f"{settings.magpie} has no built-in speakers; set synthesize.prompts to a folder of WAV files, one for each "
            "voice."
        )
    name = Path(settings.magpie).name.removesuffix(".nemo")
    return dict(voices_of_model(name, range(speakers)))


def _check_prompt(path: Path) -> None:
    try:
        heard = soundfile.info(path).frames > 0
    except soundfile.LibsndfileError:
        heard = False
    if not heard:
        raise RequestError(f"The prompt {path} of synthesize.prompts can't be read or is empty; replace or remove it.")


def _check_language(settings: MagpieSettings, tokenizers: list[str]) -> None:
    """NeMo would read an unknown language as English."""
    if len(tokenizers) < 2:
        return
    from nemo.collections.tts.parts.utils.tts_dataset_utils import LANGUAGE_TOKENIZER_MAP

    wanted = LANGUAGE_TOKENIZER_MAP.get(settings.language, [])
    if not set(wanted) & set(tokenizers):
        raise RequestError(
            f"{settings.magpie} has no tokenizer for the synthesize.language '{settings.language}', but for "
            f"{', '.join(tokenizers)}."
        )


def _codec_file(settings: MagpieSettings) -> Path:
    config = nemo_config(nemo_file(settings.magpie, "MagpieTTSModel"))
    return nemo_file(settings.codec or str(config["codecmodel_path"]), "AudioCodecModel")


def _digests(settings: MagpieSettings) -> dict[str, str]:
    return {
        "magpie_sha256": sha256_of(nemo_file(settings.magpie, "MagpieTTSModel")),
        "codec_sha256": sha256_of(_codec_file(settings)),
    }
