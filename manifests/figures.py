"""The type of an entry in a corpus's table of figures: a column of the manifest, and the figures computed from its
values.

`manifests/columns.py` has the entries, those about sound are in `manifests/sound_columns.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd
import pyarrow as pa

from manifests.records import DuplexDialogue

TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
WHOLES, REALS = pa.list_(WHOLE), pa.list_(REAL)


@dataclass(frozen=True, slots=True)
class Number:
    """A figure of a corpus or of one of its splits, computed by `of` from the rows: the entry's column and those in
    `beside`.

    `title` names it in the card and the report; without one, it is only in the statistics. Counts by name are a
    dictionary."""

    key: str
    title: str
    of: Callable[[pd.DataFrame], Any]
    beside: tuple[str, ...] = ()
    each_split: bool = False
    """The statistics have it for each split instead of the whole corpus."""
    in_splits: bool = False
    """Whether it is a column in the report's table of splits."""


class Aim(NamedTuple):
    """A setting of the recipe to compare a distribution with; multiplied by `times`, it is in the distribution's unit."""

    setting: str
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distribution over all dialogues: quantiles in the statistics and the card, a histogram in the report.

    `whose` sets its color. Values below `least` are not in the quantiles, and `left_out` says what they are.
    """

    key: str
    title: str
    whose: Literal["user", "agent", "event"]
    aims: tuple[Aim, ...] = ()
    signed: bool = False
    least: float | None = None
    left_out: str = ""

    @property
    def counted(self) -> str:
        """The label of the quantiles."""
        return f"{self.title}, {self.left_out}" if self.left_out else self.title


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the manifest: its name, type, computation, unit, description, and figures.

    `of` is None for values that only the row's writer knows: the shard, the build's seed and recipe.
    """

    name: str
    type: pa.DataType
    of: Callable[[DuplexDialogue], Any] | None
    unit: str
    definition: str
    figures: tuple[Number | Distribution, ...] = ()


def total(rows: pd.DataFrame) -> int:
    return int(rows.sum().sum())


def some(rows: pd.DataFrame) -> int:
    """The number of dialogues with one or more."""
    return int((rows.iloc[:, 0] > 0).sum())


def count_column(name: str, title: str, of: Callable[[DuplexDialogue], int], definition: str) -> Column:
    """A count per dialogue, and its total in the corpus under `title`."""
    return Column(name, WHOLE, of, "", definition, (Number(name, title, total),))
