"""The records in the content of a dialogue file: Parquet here, JSON in `manifests.json_records`.

The format is recognized by content, never by name. Records are read one by one, in memory independent of the file
size; what can't be read becomes a `BrokenRecord` in its place, and the reader continues wherever it can."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.json_text import CHUNK, Readable

PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A place in a file without a readable record."""

    reason: str
    message: str


class Joined(io.RawIOBase):
    """Bytes that were read ahead, followed by their stream."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = memoryview(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            chunk = self._rest.read(len(buffer))
            buffer[: len(chunk)] = chunk
            return len(chunk)
        taken = min(len(buffer), len(self._head))
        buffer[:taken], self._head = self._head[:taken], self._head[taken:]
        return taken


def read_ahead(stream: Readable, length: int) -> tuple[bytes, io.BufferedReader]:
    """The first bytes of a stream, and a stream that still contains them."""
    buffered = io.BufferedReader(Joined(b"", stream), CHUNK)
    head = buffered.read(length)
    return head, io.BufferedReader(Joined(head, buffered), CHUNK)


def read_parquet(file: BinaryIO) -> Iterator[tuple[int, Any]]:
    """Yield (row number from 1, the row as a dictionary or `BrokenRecord`) of a seekable Parquet file, in batches."""
    number = 0
    try:
        parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        # Decoding an extension type (such as Ray's pickled objects) may run code; text does not need it.
        columns = [field.name for field in parquet.schema_arrow if not _is_extension(field.type)]
        for batch in parquet.iter_batches(batch_size=256, columns=columns, use_threads=False):
            for row in _rows(batch):
                number += 1
                yield number, row
    except (pa.ArrowException, OSError, ValueError) as error:
        detail = " ".join(str(error).split()).rstrip(".")[:300]
        message = f"The Parquet file is damaged from row {number + 1} on: {detail}."
        yield number + 1, BrokenRecord("broken_parquet", message)


def _is_extension(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return True
    return any(_is_extension(kind.field(i).type) for i in range(kind.num_fields))


def _rows(batch: pa.RecordBatch) -> Iterator[Any]:
    try:
        yield from batch.to_pylist()
    except (
        pa.ArrowException,
        ValueError,
        OverflowError,
    ):  # a value that Python can't represent affects only its own row
        for at in range(batch.num_rows):
            try:
                (row,) = batch.slice(at, 1).to_pylist()
            except (pa.ArrowException, ValueError, OverflowError) as error:
                row = BrokenRecord("broken_parquet", f"The row has a value that can't be read: {error}.")
            yield row
