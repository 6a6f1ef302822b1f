"""NeMo codecs (`AudioCodecModel`: NanoCodec, or your own) with the interface of ours, and `load_codec` for both.

NeMo's codecs are convolutional: a code depends only on the audio a few frames around it. Two things could
still make a code depend on its batch. Convolutions mirror audio at its ends, so audio is padded with silence
as far as the encoder sees (`reach`). And floating point differs slightly between batch shapes, so a
code whose latent is close to the border between two levels is decided by a window of fixed shape, encoded separately.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from manifests.errors import RequestError
from manifests.files import sha256_of, unfinished
from manifests.frames import CODEBOOK_SIZE, CODEBOOKS, FSQ_LEVELS, TARGET_FRAME, TARGET_RATE
from salm_duplex_model.codec.codec import BUNDLED_BY_NAME, Codec
from salm_duplex_model.nemo_files import is_file_name, is_hub_name, load_nemo, nemo_config, nemo_file

NANO_CODEC = "nvidia/nemo-nano-codec-22khz-0.6kbps-12.5fps"
_PROBE_FRAMES = 64
"""Maximum total reach of the encoder, both sides together."""
_BORDER = 3e-4
"""A latent this close to a border between two levels, which are 1 apart, may fall on the other side in another batch: in
experiments, batch shapes moved it by up to 3e-5."""


class NemoCodec:
    """Speech ↔ codes, like `Codec`: 12.5 frames per second, 4 codes of 4 032 values each per frame.

    On one device, codes do not depend on the batch.
    """

    sample_rate = TARGET_RATE
    frame_samples = TARGET_FRAME
    codebooks = CODEBOOKS
    bits_per_second = 600.0

    def __init__(self, model: Any, file: Path) -> None:
        """`model` is an `AudioCodecModel`, `file` its `.nemo` file."""
        self.model, self.file = model.eval(), file
        # Weights are stored as direction and norm: combine them once instead of for every batch.
        for module in model.audio_encoder.modules():
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight")
        self.reach = self._reach()

    @classmethod
    def load(cls, name: str) -> "NemoCodec":
        """From a `.nemo` file or a hub name, on the GPU if there is one; raises `RequestError` if it can't be loaded
        or has another geometry."""
        model = load_nemo("AudioCodecModel", name)
        check_geometry(model.cfg, name)
        torch.backends.cudnn.allow_tf32 = False  # its coarse rounding would make codes depend on the batch
        return cls(model.to("cuda" if torch.cuda.is_available() else "cpu"), nemo_file(name, "AudioCodecModel"))

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def device_name(self) -> str:
        """For `corpus.json`: codes may differ between devices."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

    @property
    def decoder(self) -> torch.nn.Module:
        """What `synthesize` runs, and all that personalizing trains."""
        decoder: torch.nn.Module = self.model.audio_decoder
        return decoder

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the `.nemo` file."""
        return sha256_of(self.file)

    @torch.inference_mode()
    def encode(self, audio: Tensor) -> Tensor:
        """Audio (B, frames · 1 764) float32 in [-1, 1] at 22 050 Hz → codes (B, frames, 4) int16.

        The codes of the first and last `reach` frames also depend on where the audio ends.
        """
        if audio.ndim != 2 or audio.shape[1] % self.frame_samples:
            shape = tuple(audio.shape)
            raise ValueError(f"audio must be (batch, a multiple of {self.frame_samples} samples), not {shape}")
        codes, on_border = self._encode(audio)
        on_border[:, : self.reach] = on_border[:, -self.reach :] = False
        silence: Tensor | None = None
        for row, frame in on_border.nonzero().tolist():
            first, last = frame - self.reach, frame + self.reach + 1
            window = audio[None, row, first * self.frame_samples : last * self.frame_samples]
            if window.any():
                codes[row, frame] = self._encode(window)[0][0, self.reach]
            else:  # a batch may have many of these, all identical
                silence = self._encode(window)[0][0, self.reach] if silence is None else silence
                codes[row, frame] = silence
        return codes

    @torch.inference_mode()
    def silence(self) -> Tensor:
        """The codes of a frame of silence, (4,) int16, with silence around it."""
        return self.encode(torch.zeros(1, (2 * self.reach + 1) * self.frame_samples))[0, self.reach]

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, frames, 4) → audio (B, frames · 1 764) float32 in [-1, 1]."""
        return self.synthesize(codes).clamp(-1, 1).cpu()

    def synthesize(self, codes: Tensor) -> Tensor:
        """Like `decode`, for training: with gradients, on the codec's device, and not clamped."""
        tokens = codes.to(self.device, torch.int32).transpose(1, 2)
        lengths = torch.full((len(tokens),), tokens.shape[2], device=self.device)
        audio: Tensor = self.model.decode(tokens=tokens, tokens_len=lengths)[0]
        return audio

    def stream(
        self, batch: int = 1, lead: Tensor | None = None, device: torch.device | str = "cpu"
    ) -> "NemoCodecStream":
        """Like `Codec.stream`, but on the codec's own device; raises `RequestError` if the decoder looks ahead
        (NanoCodec's does not)."""
        return NemoCodecStream(self, batch, lead)

    def save(self, path: str | Path) -> None:
        """Write, atomically, a `.nemo` file that differs from the original only in the decoder."""
        path = Path(path)
        whole = type(self.model).restore_from(str(self.file), map_location="cpu")
        whole.audio_decoder.load_state_dict(self.decoder.state_dict())
        with unfinished(path) as part:
            whole.save_to(str(part))

    def _encode(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, frames, 4), and whether each frame (B, frames) has a latent close to a border, both on the CPU."""
        latent, lengths = self._latent(audio)
        quantizer = self.model.vector_quantizer
        groups = zip(quantizer.fsqs, latent.chunk(quantizer.num_codebooks, dim=1), strict=True)
        levels = torch.cat([fsq.compress(inputs=group, input_len=lengths) for fsq, group in groups], dim=1)
        on_border = ((levels - levels.floor() - 0.5).abs() < _BORDER).any(dim=1)
        codes = self.model.quantize(encoded=latent, encoded_len=lengths)
        return codes.transpose(1, 2).to("cpu", torch.int16), on_border.cpu()

    def _latent(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        audio = audio.to(self.device)
        lengths = torch.full((len(audio),), audio.shape[1], device=self.device)
        latent, lengths = self.model.encode_audio(audio=audio, audio_len=lengths)
        return latent, lengths

    @torch.inference_mode()
    def _reach(self) -> int:
        """The number of audio frames before or after a frame that its latent depends on, found by changing one frame."""
        noise = torch.randn(2, _PROBE_FRAMES * self.frame_samples, generator=torch.Generator().manual_seed(0)) * 0.1
        middle = _PROBE_FRAMES // 2
        changed = noise[:1].clone()
        changed[:, middle * self.frame_samples : (middle + 1) * self.frame_samples] = noise[1:, : self.frame_samples]
        before, after = (self._latent(audio)[0][0] for audio in (noise[:1], changed))
        return int(((before != after).any(dim=0).nonzero() - middle).abs().max())

    @torch.inference_mode()
    def decoder_reach(self) -> tuple[int, int]:
        """The number of audio frames before and after a frame that its codes affect, found in the same way."""
        codes = torch.randint(CODEBOOK_SIZE, (1, _PROBE_FRAMES, CODEBOOKS), generator=torch.Generator().manual_seed(0))
        middle = _PROBE_FRAMES // 2
        changed = codes.clone()
        changed[:, middle] = (changed[:, middle] + CODEBOOK_SIZE // 2) % CODEBOOK_SIZE
        before, after = (self.synthesize(one).view(-1, self.frame_samples) for one in (codes, changed))
        differ = (before != after).any(dim=1).nonzero() - middle
        return -int(differ.min()), int(differ.max())


class NemoCodecStream:
    """Like `CodecStream`, a streaming decoder. NeMo's decoders have no state, so the codes that a frame's audio depends
    on are decoded again with it."""

    def __init__(self, codec: NemoCodec, batch: int = 1, lead: Tensor | None = None) -> None:
        """Rows start as if the codes `lead` (frames, 4), or silence, had been decoded before."""
        ahead, memory = codec.decoder_reach()
        if ahead:
            raise RequestError(
                f"The codec {codec.file.name} can't stream: its decoder looks {ahead} frames ahead; name one whose decoder "
                f"is causal, such as {NANO_CODEC}."
            )
        self._codec = codec
        begin = codec.silence()[None] if lead is None else lead.cpu()
        self._beginning = torch.cat([begin[:1].expand(memory, -1), begin])[len(begin) :][None].long()
        self._past = self._beginning.expand(batch, -1, -1).clone()

    @torch.inference_mode()
    def join(self) -> None:
        """Add a row in its initial state."""
        self._past = torch.cat([self._past, self._beginning])

    @torch.inference_mode()
    def leave(self, row: int) -> None:
        """Remove a row; later rows move up."""
        self._past = torch.cat([self._past[:row], self._past[row + 1 :]])

    @torch.inference_mode()
    def reset(self, row: int) -> None:
        """Reset a row to its initial state."""
        self._past[row] = self._beginning[0]

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """The next codes (B, frames, 4) → their audio (B, frames · 1 764); frames may be 1."""
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < CODEBOOK_SIZE:
            raise ValueError(f"codes must be 0 to {CODEBOOK_SIZE - 1}; speech BOS, EOS and delay ids are not codes")
        together = torch.cat([self._past, codes.cpu()], dim=1)
        self._past = together[:, codes.shape[1] :]
        return self._codec.decode(together)[:, -codes.shape[1] * self._codec.frame_samples :]


AnyCodec = Codec | NemoCodec


def load_codec(name: str) -> AnyCodec:
    """A bundled codec by name, one of our checkpoints, a `.nemo` file, or the name of a NeMo codec on the hub, such as
    `NANO_CODEC`.

    Raises `RequestError` if it can't be loaded.
    """
    if name in BUNDLED_BY_NAME:
        return Codec.load(BUNDLED_BY_NAME[name])
    on_hub = is_hub_name(name) and not Path(name).exists() and Path(name).suffix != ".safetensors"
    if is_file_name(name) or on_hub:
        return NemoCodec.load(name)
    try:
        return Codec.load(name)
    except FileNotFoundError:
        raise RequestError(f"The codec {name} does not exist; `salm-duplex codec train` makes one.") from None
    except ValueError as error:
        raise RequestError(f"{error}.") from None


def check_file(path: Path) -> None:
    """Raise `RequestError` if a `.nemo` file is missing, invalid, or a codec of another geometry; loads nothing."""
    check_geometry(nemo_config(path), str(path))


def check_geometry(config: Mapping[str, Any], name: str) -> None:
    """Raise `RequestError` if a NeMo codec's geometry is not that of `NANO_CODEC`, which corpora require."""
    quantizer = config.get("vector_quantizer") or {}
    found = (
        config.get("sample_rate"),
        config.get("samples_per_frame"),
        quantizer.get("num_groups"),
        tuple(quantizer.get("num_levels_per_group") or ()),
    )
    if found != (TARGET_RATE, TARGET_FRAME, CODEBOOKS, FSQ_LEVELS):
        rate, frame, groups, levels = found
        raise RequestError(
            f"The codec {name} has {groups} codebooks of FSQ levels {list(levels)}, {frame} samples per frame at {rate} Hz; a "
            f"corpus has {CODEBOOKS} of {list(FSQ_LEVELS)}, {TARGET_FRAME} samples per frame at {TARGET_RATE} Hz: name one "
            f"like {NANO_CODEC}."
        )
