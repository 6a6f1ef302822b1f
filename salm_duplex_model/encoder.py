"""Streaming speech encoders: user audio at 16 kHz in, one vector per 80 ms frame out.

Audio is float32 in [-1, 1]. Offline and frame-by-frame encoding give the same vectors.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manifests.frames import SOURCE_FRAME, SOURCE_RATE
from salm_duplex_model.codec.features import mel_filters
from salm_duplex_model.codec.network import CausalBlock
from salm_duplex_model.config import CausalEncoderConfig

HOP = 160
WINDOW = 400
HOPS = SOURCE_FRAME // HOP
_FLOOR = 1e-5
"""Magnitudes below this are silence, in a window scaled so that a full-scale sine is 0.5."""


class LogMel(nn.Module):
    """Log-mel spectra of 25 ms windows, every 10 ms; a window ends where its hop ends, so there is no look-ahead."""

    window: Tensor
    bank: Tensor

    def __init__(self, mels: int) -> None:
        super().__init__()
        window = torch.hann_window(WINDOW)
        self.register_buffer("window", window / window.sum(), persistent=False)
        self.register_buffer("bank", mel_filters(SOURCE_RATE, 512, mels), persistent=False)

    def forward(self, audio: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Audio (B, samples) and the samples before it (B, 240) → (B, samples / 160, mels) around zero, and the new
        past."""
        with torch.autocast(audio.device.type, enabled=False):  # the spectrum needs float32
            audio = torch.cat([past, audio], dim=1)
            windows = audio.unfold(-1, WINDOW, HOP) * self.window
            spectrum = torch.view_as_real(torch.fft.rfft(windows, 512)).square().sum(-1)
            mel = (spectrum + 1e-12).sqrt() @ self.bank
            return mel.clamp(min=_FLOOR).log() * 0.25 + 2.0, audio[:, -(WINDOW - HOP) :]


class StreamingEncoder(nn.Module):
    """The interface that the model uses. Every tensor of a state has the batch dimension first, so rows can be added
    and removed."""

    def initial_state(self, batch: int) -> list[Tensor]:
        """The state before the first frame."""
        raise NotImplementedError

    def blocks(self) -> list[nn.Module]:
        """Its repeated parts, each of which may be compiled separately."""
        return []

    def forward(
        self, audio: Tensor, state: list[Tensor] | None = None, frames: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Audio (B, T · 1 280) and the state before it → vectors (B, T, width) and the state after it.

        Without a state, the audio is of complete recordings, and the returned state must not be used. For a padded batch,
        `frames` (B,) gives the length of each row's audio; padding does not change any earlier vector.
        """
        raise NotImplementedError


class CausalEncoder(StreamingEncoder):
    """Log-mel spectra → causal ConvNeXt blocks at 100 Hz → frames of 8 → causal blocks at 12.5 Hz → the LLM's width.

    The last two are the modality adapter of this small encoder. A frame's vector depends only on the audio up to the
    frame's end.
    """

    def __init__(self, config: CausalEncoderConfig, output_width: int) -> None:
        super().__init__()
        self.mel = LogMel(config.mels)
        self.embed = nn.Linear(config.mels, config.channels)
        self.hop_blocks = nn.ModuleList(CausalBlock(config.channels) for _ in range(config.hop_blocks))
        self.gather = nn.Linear(HOPS * config.channels, config.width)
        self.frame_blocks = nn.ModuleList(CausalBlock(config.width) for _ in range(config.frame_blocks))
        self.norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, output_width)

    def initial_state(self, batch: int) -> list[Tensor]:
        """The state before the first frame: silence."""
        like = self.embed.weight
        blocks = [*self.hop_blocks, *self.frame_blocks]
        return [
            torch.zeros(batch, WINDOW - HOP, device=like.device),
            *(like.new_zeros(batch, block.context, block.channels) for block in blocks),
        ]

    def blocks(self) -> list[nn.Module]:
        return [*self.hop_blocks, *self.frame_blocks]

    def forward(
        self, audio: Tensor, state: list[Tensor] | None = None, frames: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        pasts = state or self.initial_state(len(audio))
        if audio.shape[1] % SOURCE_FRAME:
            raise ValueError(f"audio must be whole frames of {SOURCE_FRAME} samples, not {audio.shape[1]} samples")
        new_state: list[Tensor] = []

        def through(blocks: nn.ModuleList, x: Tensor) -> Tensor:
            for block in blocks:
                x, past = block(x, pasts[len(new_state)].to(x.dtype))
                new_state.append(past)
            return x

        mel, past = self.mel(audio, pasts[0])
        new_state.append(past)
        x = through(self.hop_blocks, self.embed(mel))
        x = F.gelu(self.gather(x.reshape(len(x), -1, HOPS * x.shape[-1])))
        x = through(self.frame_blocks, x)
        return self.project(self.norm(x)), new_state
