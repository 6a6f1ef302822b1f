import gzip
import hashlib
import io
import json
import subprocess
import sys

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from s3_material import use_s3

from manifests.sources import Source, UnreadableInput, base_name, expand, fingerprint_of
from manifests.store import Store

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


def read(url: str, limit: int | None = None) -> list:
    return [record for _, record in Source(url).records(limit)]


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED.keys())
@pytest.mark.parametrize("content", CONTENT.values(), ids=CONTENT.keys())
def test_content_not_name_decides_how_a_file_is_read(tmp_path, content, pack):
    path = tmp_path / "misleading.txt"
    path.write_bytes(pack(content))
    source = Source(str(path))
    assert [record for _, record in source.records()] == RECORDS
    assert source.fingerprint == fingerprint_of(str(path)) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", CONTENT.values(), ids=CONTENT.keys())
def test_a_limit_reads_fewer_and_gives_the_same_fingerprint(tmp_path, content):
    path = tmp_path / "dialogues"
    path.write_bytes(content)
    source = Source(str(path))
    assert [record for _, record in source.records(1)] == RECORDS[:1]
    assert source.fingerprint == fingerprint_of(str(path))


@pytest.mark.parametrize("content", [JSONL, gzip.compress(JSONL), parquet()], ids=["jsonl", "gzip", "parquet"])
def test_any_fsspec_url_is_read(content):
    with fsspec.open("memory://folder/chat.jsonl", "wb") as file:
        file.write(content)
    assert read("memory://folder/chat.jsonl") == RECORDS


@pytest.mark.parametrize("content", [JSONL, gzip.compress(JSONL), parquet()], ids=["jsonl", "gzip", "parquet"])
def test_standard_input_is_read(content):
    code = "from manifests.sources import Source; print(list(Source('-').records()), Source('-').name)"
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
    assert done.stdout.decode().strip() == f"{list(enumerate(RECORDS, 1))} stdin"


def test_gzip_and_zstd_concatenated_files_are_read_whole(tmp_path):
    for pack in (gzip.compress, zstandard.ZstdCompressor().compress):
        path = tmp_path / "two"
        path.write_bytes(pack(JSONL + b"\n") + pack(JSONL))
        assert read(str(path)) == RECORDS * 2


def test_a_missing_file_and_a_damaged_one_are_named(tmp_path):
    with pytest.raises(UnreadableInput, match="does not exist"):
        read(str(tmp_path / "nowhere.jsonl"))
    with pytest.raises(UnreadableInput, match="does not exist"):
        expand([str(tmp_path / "nowhere.jsonl")])
    for pack in (gzip.compress, zstandard.ZstdCompressor().compress):
        damaged = tmp_path / "damaged.packed"
        damaged.write_bytes(pack(JSONL * 9_999)[:-9])
        with pytest.raises(UnreadableInput, match=r"damaged\.packed is damaged"):
            read(str(damaged))


def test_a_folder_means_its_dialogue_files_at_any_depth(tmp_path):
    for name in ("b.jsonl", "a.parquet", "deep/er/c.JSON.gz", "d.ndjson.zst", "README.md", "LICENSE", "notes.txt",
                 ".hidden.jsonl", ".git/e.json", "_SUCCESS", "wav/one.flac", "words.rttm.gz"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(JSONL)
    found = [url.removeprefix(f"{tmp_path}/") for url in expand([str(tmp_path)])]
    assert found == ["a.parquet", "b.jsonl", "d.ndjson.zst", "deep/er/c.JSON.gz"]
    assert expand([f"{tmp_path}/*.parquet", str(tmp_path)]) == expand([str(tmp_path)])
    assert expand([f"{tmp_path}/*.jsonl"]) == [f"{tmp_path}/b.jsonl"]
    assert expand([f"{tmp_path}/**/*.gz"]) == [f"{tmp_path}/deep/er/c.JSON.gz", f"{tmp_path}/words.rttm.gz"]
    assert expand([f"{tmp_path}/notes.txt", "-"]) == [f"{tmp_path}/notes.txt", "-"]
    with pytest.raises(UnreadableInput, match="has no dialogue files"):
        expand([f"{tmp_path}/wav"])
    with pytest.raises(UnreadableInput, match="No file matches"):
        expand([f"{tmp_path}/*.csv"])


def test_folders_and_patterns_of_a_url_are_found():
    for name in ("b.jsonl", "a.jsonl", "README.md", "deep/c.jsonl"):
        with fsspec.open(f"memory://bucket/talk/{name}", "wb") as file:
            file.write(JSONL)
    at = "memory://bucket/talk"
    assert expand([at]) == [f"{at}/a.jsonl", f"{at}/b.jsonl", f"{at}/deep/c.jsonl"]
    found = expand([f"{at}/*.jsonl"])
    assert [url.rsplit("/", 1)[-1] for url in found] == ["a.jsonl", "b.jsonl"]
    assert [read(url) for url in found] == [RECORDS, RECORDS]


def test_missing_and_unreachable_inputs_are_reported_differently(s3, moto, monkeypatch):
    with pytest.raises(UnreadableInput, match=r"The input memory://nowhere/a\.jsonl does not exist"):
        expand(["memory://nowhere/a.jsonl"])
    with pytest.raises(UnreadableInput, match="does not exist"):
        expand([f"{s3}/a.jsonl"])
    with pytest.raises(
        UnreadableInput, match=r"The input s3://no-such-bucket/a\.jsonl can't be used: the bucket does not"
    ):
        expand(["s3://no-such-bucket/a.jsonl"])
    use_s3(moto, "http://no-such-host.invalid", monkeypatch)
    with pytest.raises(UnreadableInput, match=rf"The input {s3}/a\.jsonl can't be reached"):
        expand([f"{s3}/a.jsonl"])
    with pytest.raises(UnreadableInput, match=r"The input http://no-such-host\.invalid/a\.jsonl can't be reached"):
        read("http://no-such-host.invalid/a.jsonl")
    with pytest.raises(UnreadableInput, match="Protocol not known: carrier-pigeon"):
        expand(["carrier-pigeon://a"])


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED.keys())
def test_a_bucket_is_read_completely_despite_failing_requests(faulty, faulty_s3, pack):
    content = {"a.jsonl": JSONL + b"\n" + JSONL, "deep/b.json": CONTENT["array"], "c.parquet": CONTENT["parquet"]}
    for name, data in content.items():
        Store(faulty_s3).write(name, pack(data))
    faulty.share = 0.3
    found = expand([faulty_s3])
    assert found == expand([f"{faulty_s3}/**"]) == [f"{faulty_s3}/{name}" for name in sorted(content)]
    assert [read(url) for url in found] == [RECORDS * 2, RECORDS, RECORDS]
    assert fingerprint_of(found[0]) == hashlib.sha256(content["a.jsonl"]).hexdigest()
    assert faulty.failed


def test_a_name_that_looks_like_a_pattern_is_a_name_where_there_is_such_a_file(tmp_path):
    (tmp_path / "chat[1].jsonl").write_bytes(JSONL)
    assert read(*expand([f"{tmp_path}/chat[1].jsonl"])) == RECORDS


def test_base_name_drops_folders_and_all_suffixes():
    assert base_name("s3://bucket/folder/chat.v1.jsonl.gz") == "chat"
