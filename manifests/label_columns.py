"""The manifest's column of labels, and its counts in the statistics."""

import json
import math
from collections import Counter, defaultdict
from typing import Any

import pandas as pd

from manifests.figures import TEXT, Column, Number
from manifests.labels import MOST_VALUES, shown
from manifests.records import DuplexDialogue


def _json(record: DuplexDialogue) -> str | None:
    labels = record.dialogue.labels
    return json.dumps(labels, ensure_ascii=False, sort_keys=True) if labels else None


def _counts(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """For each label, the number of `dialogues` with it; counts of its boolean and text `values`; and `min`, `mean` and
    `max` of its numbers."""
    values: defaultdict[str, Counter[str]] = defaultdict(Counter)
    numbers: defaultdict[str, list[tuple[int | float, int]]] = defaultdict(list)
    for text, times in rows.iloc[:, 0].dropna().value_counts().items():
        for name, value in json.loads(str(text)).items():
            if isinstance(value, bool | str):
                values[name][shown(value)] += int(times)
            else:
                numbers[name].append((value, int(times)))
    return {name: _counted(values[name], numbers[name]) for name in sorted({*values, *numbers})}


def _counted(values: Counter[str], numbers: list[tuple[int | float, int]]) -> dict[str, Any]:
    of_numbers = sum(times for _, times in numbers)
    counted: dict[str, Any] = {"dialogues": values.total() + of_numbers}
    if 0 < len(values) <= MOST_VALUES:
        counted["values"] = dict(sorted(values.items()))
    if numbers:
        mean = math.fsum(value * (times / of_numbers) for value, times in numbers)  # exact, so in any order the same
        counted |= {"min": min(numbers)[0], "mean": float(f"{mean:.6g}"), "max": max(numbers)[0]}
    return counted


LABELS = Column(
    "labels", TEXT, _json, "", "Labels set by custom stages, as a JSON object; null if there are none.",
    (Number("labels", "", _counts),),
)  # fmt: skip
