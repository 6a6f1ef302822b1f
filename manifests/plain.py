"""Records as plain values, which any format can represent, with their arrays separate."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError, with_config

from manifests.arrays import Find, Keep
from manifests.records import Dialogue, DuplexDialogue, Record, SpokenDialogue, Timeline, TokenizedDialogue

_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    # Unknown fields must not be lost silently.
    kind.__name__: TypeAdapter(with_config(extra="forbid")(kind))
    for kind in (Dialogue, SpokenDialogue, Timeline, DuplexDialogue, TokenizedDialogue)
}


def to_plain(record: Record) -> tuple[dict[str, Any], list[np.ndarray]]:
    """A record as JSON values, including its `type`, and its arrays, referenced by position."""
    arrays: list[np.ndarray] = []

    def keep(array: np.ndarray, rate: int | None) -> int:
        arrays.append(array)
        return len(arrays) - 1

    return dump(record, keep), arrays


def from_plain(plain: dict[str, Any], arrays: Sequence[np.ndarray]) -> Record:
    """The inverse of `to_plain`; raises ValueError if the values are not a record."""

    def find(position: int) -> np.ndarray:
        if not isinstance(position, int) or not 0 <= position < len(arrays):
            raise ValueError(f"there is no array {position!r}")
        return arrays[position]

    return load(plain, find)


def dump(record: Record, keep: Keep) -> dict[str, Any]:
    """A record's plain form; `keep` returns each array's reference."""
    kind = type(record).__name__
    values: dict[str, Any] = _ADAPTERS[kind].dump_python(record, context=keep)
    return {"type": kind} | values


def load(plain: dict[str, Any], find: Find) -> Record:
    """The record with a plain form; raises ValueError if there is none."""
    kind, values = plain.get("type"), {name: value for name, value in plain.items() if name != "type"}
    if kind not in _ADAPTERS:
        raise ValueError(f"there is no record of the type {kind!r}")
    try:
        record: Record = _ADAPTERS[kind].validate_python(values, context=find)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return record
