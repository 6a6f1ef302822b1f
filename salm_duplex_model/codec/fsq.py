"""Finite scalar quantization (Mentzer et al., arXiv 2309.15505): every latent dimension is rounded to a few levels."""

import math

import torch
from torch import Tensor, nn


class FiniteScalarQuantizer(nn.Module):
    """`codebooks` groups of `len(levels)` dimensions each; a group's levels form one code.

    A code is sum(level_i * base_i) with base = cumprod([1, *levels[:-1]]), the convention of NeMo's quantizer.
    """

    levels: Tensor
    base: Tensor

    def __init__(self, codebooks: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.codebooks = codebooks
        self.size = math.prod(levels)
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("base", torch.tensor((1, *levels[:-1])).cumprod(0), persistent=False)

    def forward(self, latent: Tensor) -> Tensor:
        """Quantize a latent (B, T, codebooks · len(levels)) to values in [-1, 1]; the gradient passes straight
        through."""
        bounded = self._bound(latent)
        rounded = bounded + (bounded.round() - bounded).detach()
        return (rounded / (self.levels // 2)).flatten(-2)

    def encode(self, latent: Tensor) -> Tensor:
        """Codes (B, T, codebooks) int16 of a latent (B, T, codebooks · len(levels))."""
        level = self._bound(latent).round().long() + self.levels // 2
        return (level * self.base).sum(-1).to(torch.int16)

    def decode(self, codes: Tensor) -> Tensor:
        """Values (B, T, codebooks · len(levels)) of codes (B, T, codebooks), equal to what `forward` gave."""
        level = codes.long()[..., None] // self.base % self.levels
        half = self.levels // 2
        return ((level - half) / half).flatten(-2)

    def _bound(self, latent: Tensor) -> Tensor:
        """Squash to (B, T, codebooks, levels), so that rounding hits every level."""
        latent = latent.reshape(*latent.shape[:-1], self.codebooks, -1)
        half = (self.levels - 1) / 2 * (1 - 1e-3)
        offset = (self.levels % 2 == 0) * 0.5  # an even number of levels is not symmetric about zero
        return half * torch.tanh(latent + torch.atanh(offset / half)) - offset
