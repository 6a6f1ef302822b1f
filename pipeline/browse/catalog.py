"""The manifest as a filtered list, page by page, in memory that does not grow with the corpus."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import pandas as pd

from manifests.table import Table
from pipeline.report.listing import CHOICE_COLUMNS, ROW_COLUMNS, Choices, Query, Row, choices, rows_of

QUERIES_KEPT = 32
"""Number of recent queries whose matches per row group are cached, so that paging does not count again."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list of `total` rows: its rows from position `first`, each with its shard (None if unknown)."""

    rows: tuple[Row, ...]
    shards: tuple[int | None, ...]
    first: int
    total: int


class Catalog:
    """The dialogues of a corpus; all methods are thread-safe."""

    def __init__(self, dialogues: Table) -> None:
        self._dialogues = dialogues
        self._counts: OrderedDict[Query, Sequence[int]] = OrderedDict()
        self._choices: Choices | None = None
        self._lock = threading.Lock()

    def choices(self) -> Choices:
        with self._lock:
            if self._choices is None:
                self._choices = choices(self._dialogues.parts(*CHOICE_COLUMNS))
            return self._choices

    def page(self, query: Query, first: int, number: int) -> Page:
        """`number` matching rows from position `first`; fewer at the end."""
        with self._lock:
            counts = self._matches(query)
            total = sum(counts)
            first = max(0, min(first, total))
            last = min(first + number, total)
            ends = list(accumulate(counts, initial=0))
            groups = [n for n in range(len(counts)) if ends[n] < last and ends[n + 1] > first]
            found = [part[query.matches(part)] for part in self._dialogues.parts(*ROW_COLUMNS, only=groups)]
        if not found:
            return Page((), (), first, total)
        skip = first - ends[groups[0]]
        rows = pd.concat(found)[skip : skip + last - first].reset_index(drop=True)
        shards = tuple(None if pd.isna(shard) else int(shard) for shard in rows["shard"])
        return Page(tuple(rows_of(rows)), shards, first, total)

    def place(self, id: str) -> pd.DataFrame:
        """`id`, `split` and `shard` of one dialogue; no row if the corpus has no dialogue with this id."""
        for part in self._dialogues.parts("id", "split", "shard"):
            if len(row := part[part["id"] == id]):
                return row[:1]
        return pd.DataFrame(columns=["id", "split", "shard"])

    def _matches(self, query: Query) -> Sequence[int]:
        """How many rows of each row group match."""
        if query not in self._counts:
            asked = query.columns()
            self._counts[query] = (
                [int(query.matches(part).sum()) for part in self._dialogues.parts(*asked)]
                if asked
                else self._dialogues.part_sizes()
            )
            while len(self._counts) > QUERIES_KEPT:
                self._counts.popitem(last=False)
        self._counts.move_to_end(query)
        return self._counts[query]
