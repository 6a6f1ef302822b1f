"""What a training step eats: cuts side by side as tensors. Nothing here imports Lhotse, so the model can be used without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from manifests.frames import CODEBOOKS, SOURCE_FRAME
from manifests.text_channel import text_channel
from salm_duplex_model.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from lhotse import MonoCut


@dataclass(frozen=True, slots=True)
class Batch:
    """Cuts side by side, padded to the longest: T frames.

    `audio` float32 (B, T · 1 280) in [-1, 1], `text` int64 (B, T), `codes` int64 (B, T, 4), `frames` int64 (B,) without the
    padding; `cut_tokens` counts text tokens that found no room in their turn. In training, `unheard` bool (B, T) may mark
    frames whose own codes the model is not to be told.
    """

    ids: tuple[str, ...]
    audio: Tensor
    text: Tensor
    codes: Tensor
    frames: Tensor
    cut_tokens: int = 0
    unheard: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        moved: dict[str, Any] = {
            part.name: value.to(device, non_blocking=True)
            for part in fields(self)
            if isinstance(value := getattr(self, part.name), Tensor)
        }
        return replace(self, **moved)


def collate(cuts: Sequence[MonoCut], tokenizer: TextTokenizer, audio: bool = True) -> Batch:
    """Load and pad cuts; without `audio`, which takes the most time, the user is silent."""
    loaded = [_load(cut, tokenizer, audio) for cut in cuts]
    longest = max(len(text) for _, text, _, _ in loaded)
    users = torch.zeros(len(cuts), longest * SOURCE_FRAME)
    text = torch.full((len(cuts), longest), tokenizer.special.pad, dtype=torch.int64)
    codes = torch.zeros(len(cuts), longest, CODEBOOKS, dtype=torch.int64)
    for row, (samples, tokens, own, _) in enumerate(loaded):
        users[row, : len(samples)] = torch.from_numpy(samples)
        text[row, : len(tokens)] = torch.from_numpy(tokens)
        codes[row, : len(own)] = torch.from_numpy(own.astype(np.int64))
    frames = torch.tensor([len(tokens) for _, tokens, _, _ in loaded])
    return Batch(tuple(cut.id for cut in cuts), users, text, codes, frames, sum(cut for *_, cut in loaded))


def _load(cut: MonoCut, tokenizer: TextTokenizer, audio: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    codes = cut.load_custom("target_codes")
    frames = len(codes)
    samples = np.zeros(frames * SOURCE_FRAME, dtype=np.float32)
    if audio:
        heard = cut.load_audio()[0]
        samples[: len(heard)] = heard[: len(samples)]
    channel = text_channel(cut.supervisions, frames, "agent", tokenizer.encode, tokenizer.special)
    return samples, channel.tokens, codes, channel.cut_tokens


def frames_of(cut: MonoCut) -> int:
    return int(cut.recording.num_samples) // SOURCE_FRAME
