"""The LLM's memory of a session: keys and values of the last frames of every row, in buffers that are written round.

Frame f lies in slot f % size, whatever is there is overwritten in place, and a mask says which slots a row may see. Keys are
turned by their rotary position before they are kept, so the order of slots means nothing to the attention.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

FIRST_SIZE = 128
"""Frames that buffers have room for at first: attention goes over all of a buffer, and most of it would be empty."""


class WindowCache(Cache):  # type: ignore[misc]
    """A Hugging Face cache for one frame a step. Every frame of the session is a step for all rows, and each row counts
    its own frames from where it joined, so that a late one gets the positions of an early one."""

    def __init__(self, window: int) -> None:
        """A row sees its last `window` frames, the present one among them."""
        super().__init__(layer_class_to_replicate=lambda: WindowLayer(self))
        self.window = window
        self.began: list[int] = []
        """The frame at which each row began."""
        self._empty()

    def _empty(self) -> None:
        self.layers.clear()
        self.size, self.frame = min(FIRST_SIZE, self.window), 0

    @property
    def slot(self) -> int:
        return self.frame % self.size

    def positions(self) -> Tensor:
        """Of the present frame in each row's own count, (B, 1)."""
        return torch.tensor([[self.frame - began] for began in self.began])

    def mask(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """What to add to the attention's scores, (B, 1, 1, size): 0 where a row sees a slot, the least number elsewhere."""
        age = (self.frame - torch.arange(self.size, device=positions.device)) % self.size
        unseen = (age > positions)[:, None, None]
        return unseen.to(dtype) * torch.finfo(dtype).min

    def advance(self) -> None:
        """Go on to the next frame, and make room for it where a row still sees the frame in its slot."""
        self.frame += 1
        oldest = self.frame - min(self.began, default=self.frame)
        if oldest < self.size or self.size == self.window:
            return
        kept = torch.arange(self.frame - self.size, self.frame)
        old, self.size = kept % self.size, min(2 * self.size, self.window)
        for layer in self.layers:
            layer.move(old, kept % self.size)

    def join(self) -> None:
        """One row more, which has seen nothing."""
        self.began.append(self.frame)
        for layer in self.layers:
            layer.join()

    def leave(self, row: int) -> None:
        del self.began[row]
        for layer in self.layers:
            layer.leave(row)
        if not self.began:
            self._empty()

    def forget(self, row: int) -> None:
        """The row begins anew: nothing from before is seen."""
        self.began[row] = self.frame
        for layer in self.layers:
            layer.forget(row)


class WindowLayer(CacheLayerMixin):  # type: ignore[misc]
    """Keys and values of one layer, (B, heads, size, width of a head); made at the first update, which knows their shape."""

    is_sliding = True

    def __init__(self, cache: WindowCache) -> None:
        super().__init__()
        self.cache = cache

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        batch, heads, _, width = key_states.shape
        self.keys = key_states.new_zeros(batch, heads, self.cache.size, width)
        self.values = value_states.new_zeros(batch, heads, self.cache.size, value_states.shape[-1])
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Put in the present frame's keys and values (B, heads, 1, width); all that are kept come back."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        here = slice(self.cache.slot, self.cache.slot + 1)
        self.keys[:, :, here] = key_states
        self.values[:, :, here] = value_states
        return self.keys, self.values

    def move(self, old: Tensor, new: Tensor) -> None:
        """Larger buffers, with what was in the slots `old` in the slots `new`."""

        def moved(kept: Tensor) -> Tensor:
            larger = kept.new_zeros(*kept.shape[:2], self.cache.size, kept.shape[-1])
            larger[:, :, new] = kept[:, :, old]
            return larger

        self.keys, self.values = moved(self.keys), moved(self.values)

    def join(self) -> None:
        self.keys, self.values = (
            torch.cat([kept, kept.new_zeros(1, *kept.shape[1:])]) for kept in (self.keys, self.values)
        )

    def leave(self, row: int) -> None:
        self.keys, self.values = (torch.cat([kept[:row], kept[row + 1 :]]) for kept in (self.keys, self.values))

    def forget(self, row: int) -> None:
        # The mask hides them, and yet a NaN, hidden or not, would spoil the sum.
        self.keys[row] = 0
        self.values[row] = 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.cache.size, 0

    def get_seq_length(self) -> int:
        return self.cache.frame

    def get_max_length(self) -> int:
        return self.cache.window
