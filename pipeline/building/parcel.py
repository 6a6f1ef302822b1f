"""A shard on its way through the stages: its records, and what is known of it so far.

Between two pools of workers it travels as an Arrow table, a row a record behind one row of facts, its arrays as bytes
that the next worker reads in place.
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
    """Why a shard could not be made at all: nothing that one dialogue could be blamed for."""

    stage: str
    reason: str
    traceback: str

    @classmethod
    def of(cls, stage: str, error: Exception, when: str = "") -> "Failure":
        # A WorkError is a sentence for the user already.
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
_SCHEMA = pa.schema([("shard", pa.string()), ("plain", pa.large_string()), ("arrays", pa.list_(_ARRAY))])


def to_table(parcel: Parcel) -> pa.Table:
    facts = {
        "rejected": [asdict(one) for one in parcel.rejected],
        "made_by": parcel.made_by,
        "seconds": parcel.seconds,
        "failure": asdict(parcel.failure) if parcel.failure else None,
    }
    rows: list[tuple[str, list[dict[str, Any]]]] = [(json.dumps(facts), [])]
    for record in parcel.records:
        plain, arrays = to_plain(record)
        rows.append((json.dumps(plain), [_packed(array) for array in arrays]))
    columns = [[parcel.shard] * len(rows), [plain for plain, _ in rows], [arrays for _, arrays in rows]]
    return pa.table([pa.array(column, type=f.type) for column, f in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA)


def from_table(table: pa.Table) -> Parcel:
    facts, *plain = table.column("plain").to_pylist()
    arrays = table.column("arrays").combine_chunks() if table.num_rows else []
    known = json.loads(facts)
    return Parcel(
        table.column("shard")[0].as_py(),
        [from_plain(json.loads(text), list(_unpacked(own))) for text, own in zip(plain, arrays[1:], strict=True)],
        [Rejected(**one) for one in known["rejected"]],
        known["made_by"],
        known["seconds"],
        Failure(**known["failure"]) if known["failure"] else None,
    )


def _packed(array: np.ndarray) -> dict[str, Any]:
    whole = np.ascontiguousarray(array)
    return {"dtype": whole.dtype.str, "shape": whole.shape, "data": whole.data.cast("B")}


def _unpacked(arrays: Any) -> Iterator[np.ndarray]:
    for array in arrays.values:
        data = np.frombuffer(array["data"].as_buffer(), dtype=array["dtype"].as_py())
        yield data.reshape(array["shape"].as_py())
