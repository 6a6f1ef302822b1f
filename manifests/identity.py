"""The identity of a build, corpus or run: its settings as plain values, for comparing and hashing."""

import hashlib
import json
from collections.abc import Mapping, Sequence


def digest(identity: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def differences(mine: Mapping[str, object], theirs: Mapping[str, object]) -> Sequence[str]:
    """The names of differing keys, nested ones as `section.key`, in order."""
    one, other = _flat(dict(mine)), _flat(dict(theirs))
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _flat(value: object, name: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {name: value}
    flat: dict[str, object] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{name}.{key}" if name else str(key))
    return flat
