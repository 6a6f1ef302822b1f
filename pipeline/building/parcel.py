"""A shard on its way through the stages: its records and what is known about it so far.

Between two worker pools it is passed as one row of an Arrow table, with arrays as bytes that the next worker reads in
place.
"""

import json
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.errors import WorkError
from manifests.plain import from_plain, to_plain
from manifests.records import Record, Rejected


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a whole shard failed, for a reason that no single dialogue caused."""

    stage: str
    reason: str
    traceback: str

    @classmethod
    def of(cls, stage: str, error: Exception, when: str = "") -> "Failure":
        # A WorkError already is a sentence for the user.
        reason = str(error) if isinstance(error, WorkError) else f"{when}{type(error).__name__}: {error}"
        return cls(stage, reason, traceback.format_exc())


@dataclass(slots=True)
class Parcel:
    """`made_by` and `seconds` (spent) are by stage."""

    shard: str
    records: Sequence[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    made_by: dict[str, dict[str, str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failure: Failure | None = None


_ARRAY = pa.struct([("dtype", pa.string()), ("shape", pa.list_(pa.int64())), ("data", pa.large_binary())])
_SCHEMA = pa.schema(
    [
        ("shard", pa.string()),
        ("facts", pa.large_string()),
        ("plain", pa.list_(pa.large_string())),
        ("arrays", pa.list_(pa.list_(_ARRAY))),
    ]
)


def to_table(parcel: Parcel) -> pa.Table:
    facts = {
        "rejected": [asdict(one) for one in parcel.rejected],
        "made_by": parcel.made_by,
        "seconds": parcel.seconds,
        "failure": asdict(parcel.failure) if parcel.failure else None,
    }
    apart = [to_plain(record) for record in parcel.records]
    row = {
        "shard": parcel.shard,
        "facts": json.dumps(facts),
        "plain": [json.dumps(plain) for plain, _ in apart],
        "arrays": [[_packed(array) for array in arrays] for _, arrays in apart],
    }
    return pa.Table.from_pylist([row], schema=_SCHEMA)


def from_table(table: pa.Table) -> Parcel:
    row = {name: table.column(name)[0] for name in _SCHEMA.names}
    facts = json.loads(row["facts"].as_py())
    records = [
        from_plain(json.loads(plain), list(_unpacked(arrays)))
        for plain, arrays in zip(row["plain"].as_py(), row["arrays"].values, strict=True)
    ]
    return Parcel(
        row["shard"].as_py(),
        records,
        [Rejected(**one) for one in facts["rejected"]],
        facts["made_by"],
        facts["seconds"],
        Failure(**facts["failure"]) if facts["failure"] else None,
    )


def _packed(array: np.ndarray) -> dict[str, Any]:
    whole = np.ascontiguousarray(array)
    return {"dtype": whole.dtype.str, "shape": whole.shape, "data": whole.data.cast("B")}


def _unpacked(arrays: Any) -> Iterator[np.ndarray]:
    for array in arrays.values:
        data = np.frombuffer(array["data"].as_buffer(), dtype=array["dtype"].as_py())
        yield data.reshape(array["shape"].as_py())
