import gzip
import io
import json

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from manifests.sources import BrokenRecord, UnreadableInput, base_name, read_bytes, read_records

RECORDS = [{"id": "a", "data": ["Hi", "Hello"]}, {"id": "b", "data": ["Bye", "So\u2028long"]}]
JSONL = "\n".join(json.dumps(r, ensure_ascii=False) for r in RECORDS).encode()


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(RECORDS), sink)
    return sink.getvalue()


CONTENT = {
    "jsonl": JSONL,
    "jsonl with a byte order mark": b"\xef\xbb\xbf" + JSONL,
    "array": json.dumps(RECORDS, indent=2).encode(),
    "object by id": json.dumps({r["id"]: {"data": r["data"]} for r in RECORDS}).encode(),
    "parquet": parquet(),
}
PACKED = {"plain": lambda b: b, "gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED.keys())
@pytest.mark.parametrize("content", CONTENT.values(), ids=CONTENT.keys())
def test_content_not_name_decides_how_a_file_is_read(tmp_path, content, pack):
    path = tmp_path / "misleading.txt"
    path.write_bytes(pack(content))
    assert [record for _, record in read_records(read_bytes(str(path)))] == RECORDS


def test_any_fsspec_url_is_read():
    with fsspec.open("memory://folder/chat.jsonl", "wb") as file:
        file.write(JSONL)
    assert [r for _, r in read_records(read_bytes("memory://folder/chat.jsonl"))] == RECORDS


def test_a_broken_line_is_told_and_the_rest_is_read():
    lines = [json.dumps(RECORDS[0]), '{"id": "broken', json.dumps(RECORDS[1])]
    read = list(read_records("\n".join(lines).encode()))
    assert [position for position, _ in read] == [1, 2, 3]
    assert isinstance(read[1][1], BrokenRecord)
    assert "Line 2" in read[1][1].message
    assert read[2][1] == RECORDS[1]


def test_an_array_cut_short_keeps_what_stands_before_the_cut():
    read = [r for _, r in read_records(json.dumps(RECORDS).encode()[:-20])]
    assert read[0] == RECORDS[0]
    assert isinstance(read[1], BrokenRecord)


def test_bytes_that_are_not_utf8_are_told_with_their_line():
    (_, record), *_ = read_records(b'{"id": "a"}\n{"id": "\xff\xfe"}')
    assert isinstance(record, BrokenRecord)
    assert record.reason == "not_utf8"
    assert "Line 2" in record.message


def test_deep_nesting_is_a_broken_record_not_a_crash():
    ((_, record),) = read_records(b"[" * 100_000)
    assert isinstance(record, BrokenRecord)


def test_a_missing_file_and_a_damaged_one_are_named(tmp_path):
    with pytest.raises(UnreadableInput, match="does not exist"):
        read_bytes(str(tmp_path / "nowhere.jsonl"))
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(JSONL)[:-9])
    with pytest.raises(UnreadableInput, match=r"damaged\.gz is damaged"):
        read_bytes(str(damaged))


def test_base_name_drops_folders_and_all_suffixes():
    assert base_name("s3://bucket/folder/chat.v1.jsonl.gz") == "chat"
