"""`--set KEY=VALUE`: command-line values that override a file or the defaults."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import yaml

from manifests.errors import RequestError


def overridden(
    data: dict[str, Any],
    overrides: Sequence[str],
    option: str = "--set",
    example: str = "--set schedule.barge_in.share=0.3",
) -> dict[str, Any]:
    """A copy of nested settings with each `a.b=value` applied, the value parsed as YAML; raises `RequestError`."""
    data = deepcopy(data)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise RequestError(f"{option} takes key=value, as in {example}, not '{override}'.")
        *parents, last = key.split(".")
        section = data
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise RequestError(f"{option} {override}: '{parent}' is a value, not a section.")
        try:
            section[last] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise RequestError(f"{option} {override}: the value is not valid YAML; quote it.") from None
    return data
