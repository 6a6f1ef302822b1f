import itertools
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests import table
from manifests.columns import dialogue_row
from manifests.records import Rejected
from manifests.store import Store
from manifests.table import DIALOGUES, REJECTED, Table, TableWriter, write_dialogues, write_rejected

PROVENANCE = {"seed": 0, "recipe": "abc"}


def rejected(number: int) -> list[Rejected]:
    return [
        Rejected(f"d{i}", f"f:{i}", "speak", "empty", f"Turn {i} is empty.", "Traceback" * i) for i in range(number)
    ]


def joined(path, parts):
    with TableWriter(path, REJECTED) as writer:
        for part in parts:
            writer.add(part)
    return path


@pytest.fixture
def small_groups(monkeypatch):
    monkeypatch.setattr(table, "ROWS_TOGETHER", 7)


@pytest.mark.parametrize("sizes", [(20,), (1,) * 20, (0, 13, 0, 7), (6, 1, 7, 6)])
def test_the_bytes_depend_only_on_the_rows_not_on_their_files(tmp_path, small_groups, sizes):
    rows = rejected(20)
    ends = list(itertools.accumulate(sizes))
    for number, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        write_rejected(tmp_path / f"{number}.parquet", rows[end - size : end])
    parts = [tmp_path / f"{number}.parquet" for number in range(len(sizes))]
    write_rejected(tmp_path / "at-once.parquet", rows)
    assert joined(tmp_path / "joined.parquet", parts).read_bytes() == (tmp_path / "at-once.parquet").read_bytes()
    whole = [part.read_bytes() for part in parts]
    assert joined(tmp_path / "of-bytes.parquet", whole).read_bytes() == (tmp_path / "at-once.parquet").read_bytes()
    assert pq.read_table(tmp_path / "joined.parquet").to_pylist() == [asdict(one) for one in rows]
    metadata = pq.read_metadata(tmp_path / "joined.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [7, 7, 6]


def test_an_empty_table_has_its_columns(tmp_path):
    assert pq.read_table(joined(tmp_path / "none.parquet", [])).schema.equals(REJECTED)


def test_memory_stays_flat_however_many_tables_are_joined(tmp_path):
    rows = [Rejected(f"d{i}", "f", "speak", "empty", f"{i} " * 100) for i in range(500)]
    write_rejected(tmp_path / "part.parquet", rows)
    part = (tmp_path / "part.parquet").read_bytes()
    peaks = []
    for number in (40, 400):
        before, held = pa.total_allocated_bytes(), []
        with TableWriter(tmp_path / "joined.parquet", REJECTED) as writer:
            for _ in range(number):
                writer.add(part)
                held.append(pa.total_allocated_bytes() - before)
        peaks.append(max(held))
    assert 0 < peaks[1] < 1.3 * peaks[0]


def test_a_table_is_read_by_column_over_all_its_files(tmp_path, rendered):
    write_dialogues(tmp_path / "a.parquet", rendered[:6], PROVENANCE)
    write_dialogues(tmp_path / "b.parquet", rendered[6:], PROVENANCE)
    read = Table(Store(tmp_path), DIALOGUES)
    assert len(read) == len(rendered)
    rows = read.read("id", "recipe")
    assert list(rows.columns) == ["id", "recipe"]
    assert list(rows["id"]) == [record.dialogue.id for record in rendered]
    assert set(rows["recipe"]) == {"abc"}
    gaps = [gap for row in map(dialogue_row, rendered) for gap in row["agent_gaps_s"]]
    assert gaps and read.values("agent_gaps_s").tolist() == gaps
    assert read.values("words_lost").dtype == np.int64
    assert not len(read.values("least_heard"))


def test_a_column_that_an_older_corpus_lacks_is_null(tmp_path, rendered):
    write_dialogues(tmp_path / "a.parquet", rendered, PROVENANCE)
    older = pq.read_table(tmp_path / "a.parquet").drop_columns(["noise_bursts", "noise_snr_db"])
    pq.write_table(older, tmp_path / "a.parquet")
    read = Table(Store(tmp_path), DIALOGUES)
    assert read.read("id", "noise_bursts")["noise_bursts"].isna().all()
    assert not len(read.values("noise_snr_db"))


def test_a_folder_without_files_is_a_table_without_rows(tmp_path):
    read = Table(Store(tmp_path), DIALOGUES)
    assert len(read) == 0 and read.read("id").empty and not len(read.values("turn_seconds"))
