"""Objects that hold many dialogues: a mapping from ids, a list in a field, columns."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from manifests.formats import read_dialogue
from manifests.readers.reading import Reading
from manifests.readers.roles import is_chat, is_pair, role_key
from manifests.readers.shapes import is_dialogue
from manifests.records import BadDialogue

_TRIED = 3
"""Maximum number of a list's first elements that are not dialogues."""


def unwrapped(raw: Mapping[str, Any], not_used: Counter[str]) -> Iterator[Any] | None:
    """The dialogues in an object; None if it is itself a dialogue, or unrecognized.

    Contents next to a list of dialogues are counted in `not_used`.
    """
    if not may_hold_many(raw):
        return None
    if all(isinstance(value, dict) for value in raw.values()):
        return None if _reads(raw) else _of_columns(raw) or _of_ids(raw)
    if _reads(raw):
        return None
    return _of_lists(raw, dict, not_used) or _of_columns(raw) or _of_lists(raw, list, not_used)


def may_hold_many(raw: Mapping[str, Any]) -> bool:
    """A quick check, since nearly every line of JSON Lines is itself a dialogue."""
    for value in raw.values():
        if isinstance(value, list) and value:
            first = value[0]
            if isinstance(first, dict) and role_key(first) is not None:
                return False
            if isinstance(first, dict | list):
                return True
    values = [*raw.values()]
    return bool(values) and (all(isinstance(v, dict) for v in values) or all(isinstance(v, list) for v in values))


def _reads(raw: Any) -> bool:
    if not isinstance(raw, dict | list):
        return False
    try:
        read_dialogue(raw, "", "")
    except BadDialogue:
        return False
    return True


def _of_ids(raw: Mapping[str, Any]) -> Iterator[Any] | None:
    """`{"id": {a dialogue}, …}`, as in MultiWOZ and DialogStudio."""
    if not any(is_dialogue(value) for value in islice(raw.values(), _TRIED)):
        return None
    return iter([{"id": key, **value} for key, value in raw.items()])


def _of_columns(raw: Mapping[str, Any]) -> Iterator[Any] | None:
    """Columns of equal length, as lists or by number (pandas), or rows with separate column names (pandas'
    `split`)."""
    if isinstance(raw.get("columns"), list) and isinstance(raw.get("data"), list):
        names, rows = raw["columns"], raw["data"]
        if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
            return None
        if not all(isinstance(name, str) for name in names):
            return None
    else:
        columns = [[*value.values()] if isinstance(value, dict) else value for value in raw.values()]
        keys = {tuple(value) if isinstance(value, dict) else None for value in raw.values()}
        if not all(isinstance(column, list) for column in columns) or len({len(column) for column in columns}) != 1:
            return None
        if len(keys) != 1:
            return None
        names, rows = [*raw], [*zip(*columns, strict=True)]
    if not any(_reads(dict(zip(names, row, strict=True))) for row in rows[:_TRIED]):
        return None
    return (dict(zip(names, row, strict=True)) for row in rows)


def _of_lists(raw: Mapping[str, Any], kind: type, not_used: Counter[str]) -> Iterator[Any] | None:
    """`{"data": [{a dialogue}, …]}` under any name, or under several such as `train` and `test`; each an object, or a
    list of messages."""
    lists = [
        key
        for key, value in raw.items()
        if isinstance(value, list) and any(isinstance(first, kind) and _is_record(first) for first in value[:_TRIED])
    ]
    if not lists:
        return None
    beside = Reading()
    beside.leave_rest(raw, lists)
    not_used.update(beside.not_used)
    return (record for key in lists for record in raw[key])


def _is_record(value: Any) -> bool:
    if isinstance(value, dict):
        return (role_key(value) is None or is_pair(value)) and _reads(value)
    return is_chat(value) and _reads(value)
