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
    its own frames from where it joined, so that a late one gets the positions of an early one.

    Where the present frame is written, and what a row sees, is reckoned on the device from tensors that stay in their place:
    so a step can be captured as a CUDA graph.
    """

    def __init__(self, window: int, device: torch.device | str = "cpu") -> None:
        """A row sees its last `window` frames, the present one among them."""
        super().__init__(layer_class_to_replicate=lambda: WindowLayer(self))
        self.window = window
        self.clock = torch.zeros(1, dtype=torch.long, device=device)
        """The number of the present frame."""
        self.began = torch.empty(0, dtype=torch.long, device=device)
        """The frame at which each row began."""
        self._empty()

    def _empty(self) -> None:
        self.layers.clear()
        # Whoever captures steps wants buffers that never move.
        self.size = self.window if self.clock.is_cuda else min(FIRST_SIZE, self.window)
        self.frame = 0
        self.clock.zero_()
        self.slot = self.clock.clone()

    def positions(self) -> Tensor:
        """Of the present frame in each row's own count, (B, 1)."""
        return (self.clock - self.began)[:, None]

    def mask(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """What to add to the attention's scores, (B, 1, 1, size): 0 where a row sees a slot, the least number elsewhere."""
        age = (self.clock - torch.arange(self.size, device=positions.device)) % self.size
        unseen = (age > positions)[:, None, None]
        return unseen.to(dtype) * torch.finfo(dtype).min

    def advance(self) -> None:
        """Go on to the next frame, and make room for it where a row still sees the frame in its slot."""
        self.frame += 1
        self.clock += 1
        if self.size < self.window and self.frame - min(self.began.tolist(), default=self.frame) >= self.size:
            kept = torch.arange(self.frame - self.size, self.frame)
            old, self.size = kept % self.size, min(2 * self.size, self.window)
            for layer in self.layers:
                layer.move(old, kept % self.size)
        self.slot.copy_(self.clock % self.size)

    def seat(self, kept: list[int], rows: int) -> None:
        """Of the rows those that are `kept`, in their order, and after them new ones, which have seen nothing: `rows` in all."""
        began = self.clock.expand(rows).clone()
        began[: len(kept)] = self.began[kept]
        self.began = began
        for layer in self.layers:
            layer.seat(kept, rows)
        if not rows:
            self._empty()

    def forget(self, row: int) -> None:
        """The row begins anew: nothing from before is seen."""
        self.began[row] = self.clock[0]
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
        self.keys.index_copy_(2, self.cache.slot, key_states)
        self.values.index_copy_(2, self.cache.slot, value_states)
        return self.keys, self.values

    def move(self, old: Tensor, new: Tensor) -> None:
        """Larger buffers, with what was in the slots `old` in the slots `new`."""

        def moved(kept: Tensor) -> Tensor:
            larger = kept.new_zeros(*kept.shape[:2], self.cache.size, kept.shape[-1])
            larger[:, :, new] = kept[:, :, old]
            return larger

        self.keys, self.values = moved(self.keys), moved(self.values)

    def seat(self, kept: list[int], rows: int) -> None:
        self.keys, self.values = (seated(part, kept, rows) for part in (self.keys, self.values))

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


def seated(part: Tensor, kept: list[int], rows: int) -> Tensor:
    """The rows `kept` of a tensor, and zeros after them: `rows` in all."""
    new = part.new_zeros(rows, *part.shape[1:])
    new[: len(kept)] = part[kept]
    return new
