"""The numbers of a corpus, computed from its Parquet tables: one source for `corpus.json`, the card and the report."""

from typing import Any

import numpy as np
import pandas as pd

from manifests.columns import distributions, numbers
from manifests.records import SPLITS
from manifests.table import Table


def corpus_statistics(
    dialogues: Table, rejected: Table, read: int, not_used: dict[str, int] | None = None
) -> dict[str, Any]:
    """Counts that add up to `read`, hours, quantiles: the figures of `manifests/columns.py`. `not_used` has counts of the
    input's other contents."""
    rows = _rows(dialogues)
    whole, parts = _numbers(rows), _each_split(rows)
    rows_rejected = rejected.read("stage", "reason")
    reasons = (rows_rejected["stage"] + "/" + rows_rejected["reason"]).value_counts().sort_index()
    statistics: dict[str, Any] = {
        "dialogues_read": read,
        "rejected": len(rejected),
        "rejected_by_reason": {str(name): int(number) for name, number in reasons.items()},
        "not_used": not_used or {},
    }
    for _, figure in numbers():
        each = {split: part[figure.key] for split, part in parts.items()}
        statistics[figure.key] = each if figure.each_split else whole[figure.key]
    for column, spread in distributions():
        values = dialogues.values(column.name)
        statistics[spread.key] = quantiles(values if spread.least is None else values[values >= spread.least])
    return statistics


def split_numbers(dialogues: Table) -> dict[str, dict[str, Any]]:
    """Every `Number` of each split, by its key."""
    return _each_split(_rows(dialogues))


def label_rows(statistics: dict[str, Any]) -> list[tuple[str, int, str]]:
    """Name, number of dialogues, and values of every label: counts, or mean and range."""
    return [(name, one["dialogues"], _label_values(one)) for name, one in statistics.get("labels", {}).items()]


def _label_values(counted: dict[str, Any]) -> str:
    parts = [f"{value}: {number}" for value, number in counted.get("values", {}).items()]
    if "mean" in counted:
        parts.append(f"mean {counted['mean']:g} ({counted['min']:g} to {counted['max']:g})")
    return ", ".join(parts)


def quantiles(values: np.ndarray) -> dict[str, float] | None:
    """Minimum, 10 %, median, mean, 90 % and maximum of the values; None without values."""
    if not len(values):
        return None
    low, p10, median, p90, high = np.quantile(values.astype(np.float64), [0, 0.1, 0.5, 0.9, 1])
    named = {"min": low, "p10": p10, "median": median, "mean": values.mean(), "p90": p90, "max": high}
    return {"n": len(values)} | {name: round(float(value), 3) for name, value in named.items()}


def _rows(dialogues: Table) -> pd.DataFrame:
    """The columns needed for the figures."""
    names = {name for column, figure in numbers() for name in (column.name, *figure.beside)}
    return dialogues.read(*sorted(names))


def _numbers(rows: pd.DataFrame) -> dict[str, Any]:
    return {figure.key: figure.of(rows[[column.name, *figure.beside]]) for column, figure in numbers()}


def _each_split(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {split: _numbers(rows[rows["split"] == split]) for split in SPLITS}
