"""The input of a training step: a batch of cuts as tensors. Nothing here imports Lhotse, so the model can be used
without it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from manifests.frames import CODEBOOKS, SOURCE_FRAME
from manifests.text_channel import Alignment, text_channel, user_text_channel
from salm_duplex_model.auxiliary import auxiliary_labels, unlabeled
from salm_duplex_model.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from lhotse import MonoCut


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of cuts, padded to the longest: T frames.

    `audio` float32 (B, T · 1 280) in [-1, 1], `text` int64 (B, T), `codes` int64 (B, T, 4), `frames` int64 (B,)
    without the padding, on the host; `cut_tokens` counts text tokens that did not fit. `user_text` int64 (B, T) is
    set for a model that has the channel. In training, `unheard` bool (B, T) may mark frames whose own codes (and
    user's text) the model does not read back, and `auxiliary` int8 (B, T, 10) may hold the labels of `auxiliary.py`.
    """

    ids: tuple[str, ...]
    audio: Tensor
    text: Tensor
    codes: Tensor
    frames: Tensor
    cut_tokens: int = 0
    unheard: Tensor | None = None
    user_text: Tensor | None = None
    auxiliary: Tensor | None = None

    @property
    def positions(self) -> int:
        """Number of positions with labels, over all rows."""
        return int((self.frames - 1).sum())

    def to(self, device: torch.device) -> Batch:
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        return self._each(Tensor.pin_memory)

    def _each(self, move: Callable[[Tensor], Tensor]) -> Batch:
        moved: dict[str, Any] = {
            part.name: move(value)
            for part in fields(self)
            if part.name != "frames" and isinstance(value := getattr(self, part.name), Tensor)
        }
        return replace(self, **moved)

    def used_by(self, stream: torch.cuda.Stream) -> None:
        """Keep its memory from being reused until the stream has finished with it."""
        for part in fields(self):
            if isinstance(value := getattr(self, part.name), Tensor) and value.is_cuda:
                value.record_stream(stream)


def collate(
    cuts: Sequence[MonoCut],
    tokenizer: TextTokenizer,
    audio: bool = True,
    alignment: Alignment = "turn",
    user_delay: int | None = None,
    auxiliary: bool = False,
) -> Batch:
    """Load and pad cuts, the agent's text laid out by `alignment`, the user's with `user_delay` frames of delay
    unless it is None; without `audio`, which takes the most time, the user is silent. With `auxiliary`, the batch has
    the labels of `auxiliary.py`."""
    lengths = list(map(frames_of, cuts))
    shape = (len(cuts), max(lengths))
    users = torch.zeros(len(cuts), shape[1] * SOURCE_FRAME)
    text = torch.full(shape, tokenizer.special.pad, dtype=torch.int64)
    codes = torch.zeros(*shape, CODEBOOKS, dtype=torch.int64)
    user_text = None if user_delay is None else text.clone()
    labels = unlabeled(*shape) if auxiliary else None
    cut_tokens = 0
    for row, (cut, frames) in enumerate(zip(cuts, lengths, strict=True)):
        own = cut.load_custom("target_codes")
        if len(own) != frames:
            raise ValueError(f"{cut.id} has {frames} frames of audio, but {len(own)} frames of codes")
        if audio:
            read_user(cut, users[row, : frames * SOURCE_FRAME].numpy())
        channel = text_channel(cut.supervisions, frames, "agent", tokenizer.encode, tokenizer.special, alignment)
        text[row, :frames] = torch.from_numpy(channel.tokens)
        codes[row, :frames] = torch.from_numpy(own)
        cut_tokens += channel.cut_tokens
        if user_text is not None and user_delay is not None:
            channel = user_text_channel(cut.supervisions, frames, tokenizer.encode, tokenizer.special, user_delay)
            user_text[row, :frames] = torch.from_numpy(channel.tokens)
            cut_tokens += channel.cut_tokens
        if labels is not None:
            labels[row, :frames] = torch.from_numpy(auxiliary_labels(cut.supervisions, frames))
    ids = tuple(cut.id for cut in cuts)
    return Batch(ids, users, text, codes, torch.tensor(lengths), cut_tokens, user_text=user_text, auxiliary=labels)


def read_user(cut: MonoCut, into: np.ndarray) -> None:
    """Decode a cut's user audio, float32 in [-1, 1], directly into its place (samples,)."""
    source = cut.recording.sources[0]
    if source.type != "memory" or not hasattr(os, "memfd_create"):
        heard = cut.load_audio()[0]
        into[: len(heard)] = heard[: len(into)]
        return
    # A file in memory is decoded without calls into Python for each block, for which threads would queue.
    with os.fdopen(os.memfd_create(cut.id[:200]), "w+b", buffering=0) as file:
        file.write(source.source)
        file.seek(0)
        with soundfile.SoundFile(file.fileno(), closefd=False) as audio:
            audio.read(len(into), out=into[: audio.frames])


def frames_of(cut: MonoCut) -> int:
    return int(cut.recording.num_samples) // SOURCE_FRAME
