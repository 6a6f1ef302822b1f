"""How a record describes an array, and how arrays are moved out of and into records: as references.

A record's plain form contains no samples. The writer stores the arrays wherever it likes and gives each a reference;
the reader resolves the references."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import GetCoreSchemaHandler, SerializationInfo, ValidationInfo
from pydantic_core import CoreSchema, core_schema

Keep = Callable[[np.ndarray, int | None], Any]
"""Stores an array, audio at a rate or plain numbers, and returns a JSON value that refers to it."""
Find = Callable[[Any], np.ndarray]
"""The array that a reference refers to; raises ValueError if there is none."""


@dataclass(frozen=True, slots=True)
class ArrayOf:
    """Annotates an array's type: audio at `rate`, which may be the name of a field, or, with None, plain numbers.

    pydantic gets the schema from it; the validation context is a `Keep` or a `Find`.
    """

    rate: int | str | None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _found,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self._kept, is_field_serializer=True, info_arg=True
            ),
        )

    def _kept(self, record: Any, array: np.ndarray, info: SerializationInfo[Keep]) -> Any:
        rate = getattr(record, self.rate) if isinstance(self.rate, str) else self.rate
        return info.context(array, rate)


def _found(reference: Any, info: ValidationInfo[Find]) -> np.ndarray:
    return info.context(reference)
