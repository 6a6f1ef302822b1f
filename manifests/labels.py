"""Labels of a dialogue: values by name, set by stages."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

Label = bool | int | float | str
RESERVED = frozenset({"array", "sources", "width"})
"""Lhotse takes a custom field with one of these keys for an array, a recording or an image."""
MOST_VALUES = 20
"""A label with more values than this is counted as a whole, not by value."""


class Labels(dict[str, Label]):
    """Labels by name, which can't be changed in place.

    Raises TypeError for a value of another type, and ValueError for a number that is not finite or exceeds 64 bits,
    and for a name that is `RESERVED` or not an identifier."""

    def __init__(self, labels: Mapping[str, Label] | Iterable[tuple[str, Label]] = ()) -> None:
        super().__init__({name: _checked(name, value) for name, value in dict(labels).items()})

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("Labels can't be changed in place; return stages.base.labeled(record, NAME=VALUE).")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type["Labels"], tuple[dict[str, Label]]]:
        return Labels, (dict(self),)  # by default, unpickling sets the items one by one


def _checked(name: Any, value: Any) -> Label:
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"The label {name!r} is not an identifier; use letters, digits and underscores.")
    if name in RESERVED:
        raise ValueError(f"The label '{name}' would be misread by Lhotse; choose another name.")
    if not isinstance(value, bool | int | float | str):
        raise TypeError(f"The label '{name}' is a {type(value).__name__}; it must be a bool, int, float or str.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"The label '{name}' is {value}; it must be finite.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"The label '{name}' exceeds 64 bits.")
    return float(value) if isinstance(value, float) else value  # NumPy's float64 is a subclass


def shown(value: Label) -> str:
    """A value as text: `true`, `3`, `0.25`, or the string itself."""
    return value if isinstance(value, str) else json.dumps(value)


def json_member(name: str, value: Label) -> str:
    """A label as a member of a JSON object: `"telephone": true`."""
    return json.dumps({name: value}, ensure_ascii=False)[1:-1]
