"""Publish, first half: a shard is written under its final name as soon as it is made.

    SPLIT/FIELD.NNNNNN.*               a shard's files, numbered by the plan
    .build/tables/SHARD.*.parquet      its rows
    .build/done/SHARD.json             its marker, written after the rest

Nothing is renamed or linked afterwards, so an object store works as well as a disk. A shard made again has the same
bytes: a worker that was presumed dead does no harm. Readers recognize a corpus only by its `corpus.json`.
"""

import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.frames import FRAMES_PER_SECOND
from manifests.records import Record, TokenizedDialogue
from manifests.shards import FIELDS, shard_file
from manifests.store import Store
from pipeline.building.parcel import Parcel
from pipeline.building.work import FAILED
from stages.pack import DIALOGUES, REJECTED, pack

BUILD = ".build"
"""The work folder inside an unfinished corpus; removed once the corpus is complete."""
DONE, TABLES, SCRATCH = f"{BUILD}/done", f"{BUILD}/tables", f"{BUILD}/scratch"


@dataclass(frozen=True, slots=True)
class Done:
    """The content of a finished shard's marker."""

    shard: str
    kept: int
    rejected: int
    failed: int
    """Rejected dialogues on which a stage raised or hung."""
    bytes: int
    audio_s: float
    made_by: dict[str, dict[str, str]]
    seconds: dict[str, float]


def publish_shard(store: Store, parcel: Parcel, provenance: dict[str, Any]) -> Done:
    """Write a shard's files, its rows and its marker; raises OSError if the store can't be written."""
    started = time.perf_counter()
    split, _, digits = parcel.shard.rpartition("-")
    number = int(digits)
    records = [_tokenized(record) for record in parcel.records]
    with scratch(store) as folder:
        pack(folder, number, records, parcel.rejected, provenance)
        files = [name for field in FIELDS if (folder / (name := shard_file(field, number))).is_file()]
        size = sum((folder / name).stat().st_size for name in files)
        for name in files:
            store.put(folder / name, f"{split}/{name}")
        for table in (DIALOGUES, REJECTED):
            store.put(folder / table, f"{TABLES}/{parcel.shard}.{table}")
    for name in {shard_file(field, number) for field in FIELDS}.difference(files):
        store.remove(f"{split}/{name}")  # an earlier version of this shard may have had dialogues
    done = Done(
        parcel.shard,
        len(records),
        len(parcel.rejected),
        sum(one.reason == FAILED for one in parcel.rejected),
        size,
        round(sum(record.timeline.frames for record in records) / FRAMES_PER_SECOND, 2),
        parcel.made_by,
        parcel.seconds | {"pack": round(time.perf_counter() - started, 4)},
    )
    store.write(f"{DONE}/{parcel.shard}.json", json.dumps(asdict(done)).encode())
    return done


def _tokenized(record: Record) -> TokenizedDialogue:
    if not isinstance(record, TokenizedDialogue):
        raise TypeError(f"the last stage returned a {type(record).__name__}, but its class declares TokenizedDialogue")
    return record


@contextmanager
def scratch(store: Store) -> Iterator[Path]:
    """A local folder for files on their way to the store, on the store's own disk if it has one, so that they can be
    moved.

    Its parent is not created: a worker that outlives its build must not recreate a removed work folder.
    """
    if store.is_local:
        folder = Path(store.root) / SCRATCH / uuid.uuid4().hex
        folder.mkdir()
    else:
        folder = Path(tempfile.mkdtemp(prefix="salm-duplex-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def finished(store: Store) -> set[str]:
    """The names of the finished shards."""
    return {name.removesuffix(".json") for name in store.names(DONE)}


def read_marker(store: Store, shard: str) -> Done:
    return Done(**json.loads(store.read(f"{DONE}/{shard}.json")))


def shard_rejected(store: Store, shard: str) -> list[dict[str, Any]]:
    """The rows of a finished shard's rejected dialogues."""
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(store.read(f"{TABLES}/{shard}.{REJECTED}"))).to_pylist()
    return rows


def open_scratch(store: Store) -> None:
    """Create the work folder if the store is on a disk, so that workers need not; raises OSError if it can't be
    written."""
    if store.is_local:
        (Path(store.root) / SCRATCH).mkdir(parents=True, exist_ok=True)
