"""The codec's network: mel spectra → ConvNeXt blocks → FSQ → causal ConvNeXt blocks → inverse STFT.

ConvNeXt blocks with an inverse-STFT head follow Vocos (Siuzdak, arXiv 2306.00814). The encoder sees the future (codes
are made offline). The decoder is strictly causal: the audio of a frame depends on the codes up to that frame, and
decoding in one go is the same code as decoding frame by frame.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from salm_duplex_model.codec.features import MelSpectrogram
from salm_duplex_model.codec.fsq import FiniteScalarQuantizer


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """Shapes. A frame (12.5 Hz) consists of `hops` hops (75 Hz); layers work at either rate."""

    sample_rate: int = 22_050
    frame_samples: int = 1_764
    hops: int = 6
    codebooks: int = 4
    levels: tuple[int, ...] = (9, 8, 8, 7)
    mels: int = 80
    encoder_hop_channels: int = 160
    encoder_hop_blocks: int = 2
    encoder_frame_blocks: int = 2
    frame_channels: int = 336
    decoder_frame_blocks: int = 2
    decoder_hop_channels: int = 256
    decoder_hop_blocks: int = 6

    @property
    def hop(self) -> int:
        """Samples per hop."""
        return self.frame_samples // self.hops

    @property
    def window(self) -> int:
        """Samples in a window of the inverse STFT: four hops."""
        return 4 * self.hop


SHORT = 8
"""For inputs this short, a convolution is computed by hand: the library takes six times as long for a frame of a live
stream."""


class Block(nn.Module):
    """A ConvNeXt block on (B, T, channels); subclasses give its convolution a context."""

    def __init__(self, channels: int, kernel: int = 7) -> None:
        super().__init__()
        self.channels, self.context = channels, kernel - 1
        self.depthwise = nn.Conv1d(channels, channels, kernel, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, 2 * channels)
        self.narrow = nn.Linear(2 * channels, channels)
        nn.init.normal_(self.narrow.weight, std=0.02)
        nn.init.zeros_(self.narrow.bias)

    def add_to(self, x: Tensor, padded: Tensor) -> Tensor:
        """x (B, T, channels) plus the output for its context (B, T + kernel − 1, channels)."""
        mixed = self.norm(self._convolve(padded))
        update: Tensor = self.narrow(F.gelu(self.widen(mixed)))
        return x + update

    def _convolve(self, padded: Tensor) -> Tensor:
        assert self.depthwise.bias is not None
        if (
            torch.compiler.is_compiling()
        ):  # compiles to one kernel, while the library's gradient of such convolutions is slow
            length = padded.shape[1] - self.context
            taps = self.depthwise.weight[:, 0].unbind(-1)
            return sum((padded[:, k : k + length] * tap for k, tap in enumerate(taps)), self.depthwise.bias)
        if padded.shape[1] - self.context > SHORT:
            return self.depthwise(padded.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]
        windows = padded.unfold(1, self.context + 1, 1) * self.depthwise.weight[:, 0]
        return windows.sum(-1) + self.depthwise.bias


class CenteredBlock(Block):
    """A block with symmetric context."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, channels) → (B, T, channels)."""
        return self.add_to(x, F.pad(x, (0, 0, self.context // 2, self.context // 2)))


class CausalBlock(Block):
    """A causal block."""

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, channels) and the inputs before them (B, context, channels) → output, and the last inputs."""
        padded = torch.cat([past, x], dim=1)
        return self.add_to(x, padded), padded[:, -self.context :]


class Encoder(nn.Module):
    """Audio → latents at 12.5 Hz."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.hops = config.hops
        channels, frame_channels = config.encoder_hop_channels, config.frame_channels
        self.mel = MelSpectrogram(config.sample_rate, 1024, config.hop, config.mels)
        self.embed = nn.Linear(config.mels, channels)
        self.hop_blocks = nn.Sequential(*(CenteredBlock(channels) for _ in range(config.encoder_hop_blocks)))
        self.gather = nn.Linear(config.hops * channels, frame_channels)
        self.frame_blocks = nn.Sequential(*(CenteredBlock(frame_channels) for _ in range(config.encoder_frame_blocks)))
        self.norm = nn.LayerNorm(frame_channels)
        self.project = nn.Linear(frame_channels, config.codebooks * len(config.levels))

    def forward(self, audio: Tensor) -> Tensor:
        """Audio (B, frames · frame_samples) → latents (B, frames, dimensions)."""
        level = (self.mel(audio).clamp(min=1e-5).log() + 7) / 3  # about −1.5 for silence, 1 for loud speech
        hops = self.hop_blocks(self.embed(level))
        frames = self.gather(hops.reshape(len(hops), -1, self.hops * hops.shape[2]))
        latent: Tensor = self.project(self.norm(self.frame_blocks(frames)))
        return latent


class Decoder(nn.Module):
    """Quantized latents at 12.5 Hz → audio, causally."""

    window: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        channels, frame_channels = config.decoder_hop_channels, config.frame_channels
        self.embed = nn.Linear(config.codebooks * len(config.levels), frame_channels)
        frame_blocks = [CausalBlock(frame_channels, kernel=5) for _ in range(config.decoder_frame_blocks)]
        self.frame_blocks = nn.ModuleList(frame_blocks)
        self.spread = nn.Linear(frame_channels, config.hops * channels)
        self.hop_blocks = nn.ModuleList(CausalBlock(channels) for _ in range(config.decoder_hop_blocks))
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, config.window + 2)
        self.register_buffer("window", torch.hann_window(config.window), persistent=False)

    def initial_state(self, batch: int) -> list[Tensor]:
        """The empty state before the first frame: one tensor per block, then the unfinished audio."""
        like = self.embed.weight
        blocks = [*self.frame_blocks, *self.hop_blocks]
        pasts = [like.new_zeros(batch, block.context, block.channels) for block in blocks]
        return [*pasts, like.new_zeros(batch, 3, self.config.hop)]

    def forward(self, latent: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Latents (B, frames, dimensions) → audio (B, frames · frame_samples), and the next state."""
        pasts, tail = iter(state[:-1]), state[-1]
        new_state = []
        x = self.embed(latent)
        for block in self.frame_blocks:
            x, past = block(x, next(pasts))
            new_state.append(past)
        x = self.spread(x).reshape(len(x), -1, self.config.decoder_hop_channels)
        for block in self.hop_blocks:
            x, past = block(x, next(pasts))
            new_state.append(past)
        log_magnitude, phase = self.project(self.norm(x)).float().chunk(2, dim=-1)
        spectrum = torch.polar(log_magnitude.clamp(max=7).exp(), phase)
        audio, tail = _overlap_add(torch.fft.irfft(spectrum) * self.window, tail)
        return audio, [*new_state, tail]


def _overlap_add(windows: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
    """Overlap-add windows (B, T, 4 · hop), one hop apart, onto the tail (B, 3, hop) of earlier ones.

    Window k starts at hop k, so a hop is complete once its own window is added: no window reaches back.
    """
    batch, hops, _ = windows.shape
    parts = windows.reshape(batch, hops, 4, -1)
    total = F.pad(tail, (0, 0, 0, hops))
    for part in range(4):
        total = total + F.pad(parts[:, :, part], (0, 0, part, 3 - part))
    return total[:, :hops].flatten(1), total[:, hops:]


class CodecNetwork(nn.Module):
    """Encoder, quantizer and decoder; the forward pass is what training sees."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = FiniteScalarQuantizer(config.codebooks, config.levels)
        self.decoder = Decoder(config)

    def forward(self, audio: Tensor) -> Tensor:
        """Audio (B, frames · frame_samples) → the same, through the codes."""
        latent = self.quantizer(self.encoder(audio).float())
        decoded: Tensor = self.decoder(latent, self.decoder.initial_state(len(audio)))[0]
        return decoded
