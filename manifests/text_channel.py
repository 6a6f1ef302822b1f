"""The text channel of one speaker: one token a frame, from supervisions.

The rule is NeMo's (`nemo.collections.speechlm2.data.s2s_dataset.build_token_channel`, 3.0): PAD everywhere; BOS at the
frame nearest to a turn's start, then one token a frame; EOS at the frame nearest to its end. Where a turn has more tokens
than frames, NeMo leaves the rest standing after EOS; here the text is cut at EOS, and the cut tokens are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manifests.frames import SOURCE_FRAME, SOURCE_RATE, nearest_frame, to_samples
from manifests.records import Speaker

if TYPE_CHECKING:
    from lhotse import SupervisionSegment


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The tokenizer's ids of PAD, BOS and EOS."""

    pad: int
    bos: int
    eos: int


@dataclass(frozen=True, slots=True)
class TextChannel:
    """`tokens` is int64, shape (frames,); `cut_tokens` counts those that found no room before their turn's EOS."""

    tokens: np.ndarray
    cut_tokens: int


def text_channel(
    supervisions: Iterable[SupervisionSegment],
    frames: int,
    speaker: Speaker,
    encode: Callable[[str], Sequence[int]],
    special: SpecialTokens,
) -> TextChannel:
    """Lay the turns of `speaker` out over `frames` frames; `encode` gives a text's token ids, without BOS and EOS."""
    tokens = np.full(frames, special.pad, dtype=np.int64)
    cut_tokens = 0
    for supervision in supervisions:
        if supervision.speaker != speaker:
            continue
        ids = [special.bos, *encode(supervision.text or "")]
        first, eos = _frame(supervision.start), _frame(supervision.end)
        room = max(min(eos, frames) - first, 0)
        cut_tokens += max(len(ids) - room, 0)
        tokens[first : first + min(len(ids), room)] = ids[:room]
        if eos < frames:
            tokens[eos] = special.eos
    return TextChannel(tokens, cut_tokens)


def _frame(seconds: float) -> int:
    return nearest_frame(to_samples(seconds, SOURCE_RATE), SOURCE_FRAME)
