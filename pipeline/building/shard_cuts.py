"""Which dialogues make a shard: each split in input order, with limits on a shard's dialogues and audio."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.records import SPLITS, Dialogue, Turn
from stages.pack import PackSettings

CHARACTERS_PER_SECOND = 15.0
"""Approximate speaking rate, to estimate a dialogue's length before there is audio."""
SECONDS_PER_TURN = 0.7
"""Approximate silence per turn."""
BYTES_PER_SECOND = 2 * (SOURCE_RATE + TARGET_RATE)
"""Size of a dialogue's two channels in memory."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """A shard's number of dialogues, and their duration estimated from the text."""

    split: str
    number: int
    dialogues: int
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.split}-{self.number:06d}"


class ShardCutter(Generic[T]):
    """Receives items one by one, each with its dialogue, and returns them a shard at a time; holds one shard per
    split."""

    def __init__(self, pack: PackSettings) -> None:
        self._pack = pack
        self._items: dict[str, list[T]] = {split: [] for split in SPLITS}
        self._seconds = dict.fromkeys(SPLITS, 0.0)
        self._numbers = dict.fromkeys(SPLITS, 0)

    def add(self, dialogue: Dialogue, item: T) -> tuple[PlannedShard, list[T]] | None:
        """The previous shard, if this item does not fit into it."""
        split, seconds = dialogue.split or "train", estimated_seconds(dialogue)
        too_large = (self._seconds[split] + seconds) * BYTES_PER_SECOND > self._pack.shard_mb * 2**20
        full = len(self._items[split]) == self._pack.shard_size
        closed = self._close(split) if self._items[split] and (too_large or full) else None
        self._items[split].append(item)
        self._seconds[split] += seconds
        return closed

    def rest(self) -> Iterator[tuple[PlannedShard, list[T]]]:
        for split in SPLITS:
            if self._items[split]:
                yield self._close(split)

    def _close(self, split: str) -> tuple[PlannedShard, list[T]]:
        items = self._items[split]
        shard = PlannedShard(split, self._numbers[split], len(items), round(self._seconds[split], 1))
        self._items[split], self._seconds[split] = [], 0.0
        self._numbers[split] += 1
        return shard, items


def estimated_seconds(dialogue: Dialogue) -> float:
    return sum(_turn_seconds(turn) for turn in dialogue.turns)


def _turn_seconds(turn: Turn) -> float:
    if turn.recording and turn.recording.duration_s:
        return turn.recording.duration_s + SECONDS_PER_TURN
    return len(turn.text) / CHARACTERS_PER_SECOND + SECONDS_PER_TURN
