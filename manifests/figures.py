"""What an entry of a corpus's table of figures is: a column of the manifest, and what a corpus makes of its values.

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
    """A figure of a corpus or of one of its splits, `of` its dialogues' rows: the entry's column and those `beside` it.

    `title` names it in the card and the report; what has none is in the statistics alone. Counts by name are a
    dictionary."""

    key: str
    title: str
    of: Callable[[pd.DataFrame], Any]
    beside: tuple[str, ...] = ()
    each_split: bool = False
    """The statistics give it for each split, in place of the whole."""
    in_splits: bool = False
    """A column of the report's table of splits."""


class Aim(NamedTuple):
    """A setting of the recipe that a distribution is to be seen against, in its unit once it is taken `times` a
    factor."""

    setting: str
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class Distribution:
    """The values of all dialogues: quantiles in the statistics and the card, a histogram in the report.

    `whose` gives it its color. `least` keeps what is smaller out of the quantiles, and `left_out` says what that is.
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
        """What the quantiles are of."""
        return f"{self.title}, {self.left_out}" if self.left_out else self.title


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the manifest: its name and type, how it is computed, in which unit, what it says, what a corpus
    makes of it.

    `of` is None if the row's writer knows it: the shard, the build's seed and recipe.
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
    """How many dialogues have one or more."""
    return int((rows.iloc[:, 0] > 0).sum())


def count_column(name: str, title: str, of: Callable[[DuplexDialogue], int], definition: str) -> Column:
    """How often something is in a dialogue, and by its `title` how often in the corpus."""
    return Column(name, WHOLE, of, "", definition, (Number(name, title, total),))
