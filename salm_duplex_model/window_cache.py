"""The LLM's cache of a session: keys and values of the latest frames of every row, in ring buffers.

Frame f is in slot f % size, overwriting the previous content in place, and a mask determines which slots a row may
see. Keys are stored with their rotary position applied, so the order of slots does not matter to attention."""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

FIRST_SIZE = 128
"""Initial buffer size in frames: attention covers the whole buffer, most of which would be empty."""


class WindowCache(Cache):  # type: ignore[misc]
    """A Hugging Face cache for one frame per step. Every frame of the session is a step for all rows, and each row counts
    its own frames from where it joined, so that a late row gets the same positions as an early one.

    The slot of the current frame and the visible slots are computed on the device from tensors at fixed addresses, so
    a step can be captured as a CUDA graph.
    """

    def __init__(self, window: int, device: torch.device | str = "cpu") -> None:
        """A row sees its last `window` frames, including the current one."""
        super().__init__(layer_class_to_replicate=lambda: WindowLayer(self))
        self.window = window
        self.clock = torch.zeros(1, dtype=torch.long, device=device)
        """The number of the current frame."""
        self.began = torch.empty(0, dtype=torch.long, device=device)
        """The frame at which each row started."""
        self._empty()

    def _empty(self) -> None:
        self.layers.clear()
        # Captured steps need buffers that never move.
        self.size = self.window if self.clock.is_cuda else min(FIRST_SIZE, self.window)
        self.frame = 0
        self.clock.zero_()
        self.slot = self.clock.clone()

    def positions(self) -> Tensor:
        """Position of the current frame in each row's own count, (B, 1)."""
        return (self.clock - self.began)[:, None]

    def mask(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """Additive attention mask, (B, 1, 1, size): 0 where a row sees a slot, the smallest number elsewhere."""
        age = (self.clock - torch.arange(self.size, device=positions.device)) % self.size
        unseen = (age > positions)[:, None, None]
        return unseen.to(dtype) * torch.finfo(dtype).min

    def advance(self) -> None:
        """Advance to the next frame, and grow the buffers if a row still sees the frame in its slot."""
        self.frame += 1
        self.clock += 1
        if self.size < self.window and self.frame - min(self.began.tolist(), default=self.frame) >= self.size:
            kept = torch.arange(self.frame - self.size, self.frame)
            old, self.size = kept % self.size, min(2 * self.size, self.window)
            for layer in self.layers:
                layer.move(old, kept % self.size)
        self.slot.copy_(self.clock % self.size)

    def seat(self, kept: list[int], rows: int) -> None:
        """Keep the rows `kept`, in order, followed by new, empty ones: `rows` in total."""
        began = self.clock.expand(rows).clone()
        began[: len(kept)] = self.began[kept]
        self.began = began
        for layer in self.layers:
            layer.seat(kept, rows)
        if not rows:
            self._empty()

    def forget(self, row: int) -> None:
        """Reset a row, so that it no longer sees earlier frames."""
        self.began[row] = self.clock[0]
        for layer in self.layers:
            layer.forget(row)


class WindowLayer(CacheLayerMixin):  # type: ignore[misc]
    """Keys and values of one layer, (B, heads, size, head width); created on the first update, which determines the
    shape."""

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
        """Store the current frame's keys and values (B, heads, 1, width); returns all stored ones."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys.index_copy_(2, self.cache.slot, key_states)
        self.values.index_copy_(2, self.cache.slot, value_states)
        return self.keys, self.values

    def move(self, old: Tensor, new: Tensor) -> None:
        """Grow the buffers, moving the slots `old` to `new`."""

        def moved(kept: Tensor) -> Tensor:
            larger = kept.new_zeros(*kept.shape[:2], self.cache.size, kept.shape[-1])
            larger[:, :, new] = kept[:, :, old]
            return larger

        self.keys, self.values = moved(self.keys), moved(self.values)

    def seat(self, kept: list[int], rows: int) -> None:
        self.keys, self.values = (seated(part, kept, rows) for part in (self.keys, self.values))

    def forget(self, row: int) -> None:
        # They are masked, but even a masked NaN would spoil the sum.
        self.keys[row] = 0
        self.values[row] = 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.cache.size, 0

    def get_seq_length(self) -> int:
        return self.cache.frame

    def get_max_length(self) -> int:
        return self.cache.window


def seated(part: Tensor, kept: list[int], rows: int) -> Tensor:
    """The rows `kept` of a tensor, followed by zeros: `rows` in total."""
    new = part.new_zeros(rows, *part.shape[1:])
    new[: len(kept)] = part[kept]
    return new
