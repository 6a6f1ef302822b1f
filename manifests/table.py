"""The corpus's Parquet tables: one row per kept dialogue, and one per rejected dialogue."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.columns import COLUMNS, dialogue_row
from manifests.records import DuplexDialogue, Rejected
from manifests.store import Store

DIALOGUES = pa.schema([(column.name, column.type) for column in COLUMNS])
REJECTED = pa.schema([(field.name, pa.string()) for field in fields(Rejected)])

ROWS_TOGETHER = 4_096
"""Rows per row group: what a `TableWriter` holds in memory, and the minimum that a reader reads."""


def write_dialogues(path: Path, records: Iterable[DuplexDialogue], provenance: dict[str, Any]) -> None:
    write_table(path, [dialogue_row(record) | provenance for record in records], DIALOGUES)


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    write_table(path, [asdict(one) for one in rejected], REJECTED)


def write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    with TableWriter(path, schema) as table:
        table.add_rows(rows)


_PART_BLOCK = 2**20
"""Bytes that a remote store is asked for at once, where a part of a table is read."""


class TableWriter:
    """Concatenates many small Parquet files into one, in the order of adding, in constant memory.

    The same rows give the same bytes, regardless of how the small files divide them. `sink` is a path or a binary file.
    """

    def __init__(self, sink: Path | BinaryIO, schema: pa.Schema) -> None:
        self._file = pq.ParquetWriter(sink, schema, compression="zstd")
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write(ends=True)
        self._file.close()

    def add(self, table: Path | bytes) -> None:
        """Append the rows of a Parquet file, at a path or as its bytes."""
        source = pa.BufferReader(table) if isinstance(table, bytes) else table
        self._append(pq.ParquetFile(source).read())

    def add_rows(self, rows: list[dict[str, Any]]) -> None:
        self._append(pa.Table.from_pylist(rows, schema=self._schema))

    def _append(self, rows: pa.Table) -> None:
        self._waiting.append(rows.select(self._schema.names).cast(self._schema))
        self._rows += len(rows)
        if self._rows >= ROWS_TOGETHER:
            self._write(ends=False)

    def _write(self, ends: bool) -> None:
        rows = pa.concat_tables([self._schema.empty_table(), *self._waiting])
        whole = len(rows) if ends else len(rows) - len(rows) % ROWS_TOGETHER
        for start in range(0, whole, ROWS_TOGETHER):
            # As one chunk: chunk boundaries would affect the bytes.
            self._file.write_table(rows.slice(start, min(ROWS_TOGETHER, whole - start)).combine_chunks())
        self._waiting, self._rows = [rows.slice(whole)], len(rows) - whole


class Table:
    """The Parquet files of a folder as one table, in the order of their names; columns are read on demand.

    A column that files of an older corpus lack is null there.
    """

    def __init__(self, folder: Store, schema: pa.Schema) -> None:
        self._folder = folder
        self._schema = schema

    def __len__(self) -> int:
        return sum(self._of_file(name, lambda file: file.metadata.num_rows) for name in self._files())

    def read(self, *columns: str) -> pd.DataFrame:
        """The rows with these columns, or with all, in Arrow's types: unknown values are NA."""
        rows: pd.DataFrame = self._read(columns or tuple(self._schema.names)).to_pandas(types_mapper=pd.ArrowDtype)
        return rows

    def part_sizes(self) -> list[int]:
        """How many rows each part has."""
        sizes: list[int] = []
        for name in self._files():
            of_file = self._of_file(
                name, lambda file: [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            )
            sizes += of_file
        return sizes

    def parts(self, *columns: str, only: Collection[int] | None = None) -> Iterator[pd.DataFrame]:
        """The rows in parts of a bounded size, one in memory at a time; `only` those of these positions."""
        position = 0
        schema = pa.schema([self._schema.field(name) for name in columns])
        for name in self._files():
            with self._folder.open(name, _PART_BLOCK) as opened:
                file = pq.ParquetFile(opened)
                known = [column for column in columns if column in file.schema_arrow.names]
                for group in range(file.num_row_groups):
                    if only is None or position in only:
                        rows = file.read_row_group(group, columns=known)
                        rows = pa.concat_tables([schema.empty_table(), rows], promote_options="default")
                        yield rows.select(list(columns)).to_pandas(types_mapper=pd.ArrowDtype)
                    position += 1

    def values(self, column: str) -> np.ndarray:
        """A column's values as one array, without nulls and with lists concatenated."""
        values = pc.drop_null(self._read((column,)).column(0))
        if pa.types.is_list(values.type):
            values = pc.drop_null(pc.list_flatten(values))
        return np.asarray(values.to_numpy())

    def _files(self) -> list[str]:
        return [name for name in self._folder.names() if name.endswith(".parquet")]

    def _read(self, columns: tuple[str, ...]) -> pa.Table:
        parts = [self._of_file(name, lambda file: file.read(columns=list(columns))) for name in self._files()]
        nothing = pa.schema([self._schema.field(name) for name in columns]).empty_table()
        return pa.concat_tables([nothing, *parts], promote_options="default").select(columns)

    def _of_file(self, name: str, use: Callable[[pq.ParquetFile], Any]) -> Any:
        with self._folder.open(name) as file:
            return use(pq.ParquetFile(file))


def corpus_tables(corpus: Store) -> tuple[Table, Table]:
    """A corpus's dialogues, and the rejected ones."""
    return Table(corpus.folder("manifest"), DIALOGUES), Table(corpus.folder("rejected"), REJECTED)
