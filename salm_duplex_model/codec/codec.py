"""The codec's interface: audio ↔ codes, offline or streamed, and its checkpoint."""

import copy
import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from manifests.files import write_whole
from salm_duplex_model.codec.network import CodecConfig, CodecNetwork

BUNDLED = Path(__file__).with_name("bundled.safetensors")
BUNDLED_BY_NAME = {"bundled": BUNDLED, "bundled-hibari": Path(__file__).with_name("hibari.safetensors")}
"""The bundled codecs: for eSpeak NG's default agent voice, and for Hibari's."""
FORMAT = 1
_HEADER = "salm_duplex_codec"


class Codec:
    """Speech ↔ codes: 12.5 frames per second, 4 codes of 4 032 values each per frame (600 bit/s).

    Floating point makes codes depend on the batch's shape and on torch's number of threads: fix both if codes must
    be reproducible.
    """

    reach = 8
    """Maximum number of audio frames before and after a frame that its code depends on."""
    device_name = "cpu"

    def __init__(self, network: CodecNetwork, training: dict[str, Any]) -> None:
        """`training` describes how the network was trained (agent voice, steps, seed); it is stored in the checkpoint."""
        self.network = network.eval()
        self.training = training
        self.sample_rate = network.config.sample_rate
        self.frame_samples = network.config.frame_samples
        self.codebooks = network.config.codebooks

    @classmethod
    def bundled(cls) -> "Codec":
        """The bundled codec, trained for eSpeak NG's default agent voice."""
        return cls.load(BUNDLED)

    @classmethod
    def load(cls, path: str | Path) -> "Codec":
        """Raises ValueError, naming the file and the fix, if it is not a valid checkpoint of this codec."""
        data = Path(path).read_bytes()
        try:
            header = json.loads(_metadata(data)[_HEADER])
            if header["format"] != FORMAT:
                raise ValueError(f"format {header['format']}")
            config = CodecConfig(**header["config"] | {"levels": tuple(header["config"]["levels"])})
            network = CodecNetwork(config)
            network.load_state_dict({name: tensor.float() for name, tensor in load_tensors(data).items()})
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"'{path}' is not a codec checkpoint of this version, or is damaged: copy it again, or make one "
                "with `salm-duplex codec train`"
            ) from error
        return cls(network, header["training"])

    @property
    def decoder(self) -> torch.nn.Module:
        """The modules that decode, which are the ones trained by personalizing."""
        return self.network.decoder

    @property
    def bits_per_second(self) -> float:
        """Bit rate of the codes, each in a whole number of bits."""
        bits = math.ceil(math.log2(math.prod(self.network.config.levels)))
        return self.codebooks * bits * self.sample_rate / self.frame_samples

    def save(self, path: str | Path) -> None:
        """Write the checkpoint atomically."""
        write_whole(Path(path), self._bytes())

    @property
    def sha256(self) -> str:
        """SHA-256 of the checkpoint file."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def _bytes(self) -> bytes:
        """Weights as float16 (half the size, no audible loss), with one header entry that describes them."""
        header = {"format": FORMAT, "config": asdict(self.network.config), "training": self.training}
        tensors = {name: tensor.half().cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        data: bytes = save_tensors(tensors, metadata={_HEADER: json.dumps(header, sort_keys=True)})
        return data

    @torch.inference_mode()
    def encode(self, audio: Tensor) -> Tensor:
        """Audio (B, frames · 1 764) float32 in [-1, 1] at 22 050 Hz → codes (B, frames, 4) int16."""
        if audio.ndim != 2 or audio.shape[1] % self.frame_samples:
            shape = tuple(audio.shape)
            raise ValueError(f"audio must be (batch, a multiple of {self.frame_samples} samples), not {shape}")
        codes: Tensor = self.network.quantizer.encode(self.network.encoder(audio))
        return codes

    @torch.inference_mode()
    def silence(self) -> Tensor:
        """The codes of a frame of silence, (4,) int16: the middle one of many, where the encoder is in steady state."""
        return self.encode(torch.zeros(1, 31 * self.frame_samples))[0, 15]

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, frames, 4) → audio (B, frames · 1 764) float32 in [-1, 1]."""
        return self.stream(len(codes)).decode(codes)

    def synthesize(self, codes: Tensor) -> Tensor:
        """Like `decode`, for training: with gradients, and not clamped."""
        latent = self.network.quantizer.decode(codes)
        audio: Tensor = self.network.decoder(latent, self.network.decoder.initial_state(len(codes)))[0]
        return audio

    def stream(self, batch: int = 1, lead: Tensor | None = None, device: torch.device | str = "cpu") -> "CodecStream":
        """A streaming decoder, which returns audio immediately, on `device`."""
        return CodecStream(self, batch, lead, device)


class CodecStream:
    """Streaming decoder with a state of constant size. Rows can be added, removed and reset."""

    def __init__(
        self, codec: Codec, batch: int = 1, lead: Tensor | None = None, device: torch.device | str = "cpu"
    ) -> None:
        """Rows start as if the codes `lead` (frames, 4) had been decoded before: without any, a decoder starts with a
        click."""
        here = next(codec.network.parameters()).device == torch.device(device)
        self._network = codec.network if here else copy.deepcopy(codec.network).to(device)
        self._device = device
        self._beginning = self._network.decoder.initial_state(1)
        if lead is not None:
            self._state = self._beginning
            self.decode(lead[None])
            self._beginning = self._state
        self._state = [torch.cat([part] * batch) if batch else part[:0] for part in self._beginning]

    @torch.inference_mode()
    def join(self) -> None:
        """Add a row in its initial state."""
        self._state = [torch.cat(pair) for pair in zip(self._state, self._beginning, strict=True)]

    @torch.inference_mode()
    def leave(self, row: int) -> None:
        """Remove a row; later rows move up."""
        self._state = [torch.cat([part[:row], part[row + 1 :]]) for part in self._state]

    @torch.inference_mode()
    def reset(self, row: int) -> None:
        """Reset a row to its initial state."""
        for part, beginning in zip(self._state, self._beginning, strict=True):
            part[row] = beginning[0]

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """The next codes (B, frames, 4) → their audio (B, frames · 1 764); frames may be 1."""
        quantizer = self._network.quantizer
        if codes.ndim != 3 or codes.shape[2] != quantizer.codebooks:
            raise ValueError(f"codes must be (batch, frames, {quantizer.codebooks}), not {tuple(codes.shape)}")
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < quantizer.size:
            raise ValueError(f"codes must be 0 to {quantizer.size - 1}; speech BOS, EOS and delay ids are not codes")
        latent = quantizer.decode(codes.to(self._device))
        audio, self._state = self._network.decoder(latent, self._state)
        clamped: Tensor = audio.clamp(-1, 1).cpu()
        return clamped


def _metadata(data: bytes) -> dict[str, str]:
    """The metadata in a safetensors file's header: 8 bytes with the length of a JSON object, then the object."""
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return metadata
