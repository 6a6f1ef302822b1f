"""Builds from and to an S3 store: the corpus equals the local one, byte for byte, despite failures of the store."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from lhotse import CutSet
from s3_material import FaultyProxy, client_environment, moto_server, use_s3
from test_build import BUNDLED, LIMIT, OVERRIDES, command, tree

from manifests.store import Store

FIELDS = ("cuts", "recording", "target_audio", "target_codes", "context_audio")


def build(source: str, out: str | Path, endpoint: str) -> subprocess.CompletedProcess:
    overrides = [part for override in OVERRIDES for part in ("--set", override)]
    arguments = command("build", source, "--out", out, "--limit", str(LIMIT), "--workers", "2", *overrides)
    return subprocess.run(arguments, capture_output=True, text=True, env=os.environ | client_environment(endpoint))


def content(store: Store) -> dict[str, bytes]:
    """Every file's bytes, except the run log, which contains clock times."""
    files = {name: store.read(name) for name in store.find()}
    info = json.loads(files["corpus.json"])
    del info["run_log"]
    return files | {"corpus.json": json.dumps(info).encode()}


@pytest.fixture(scope="module")
def server():
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
def local(tmp_path_factory, server) -> Path:
    out = tmp_path_factory.mktemp("s3") / "local"
    result = build(str(BUNDLED), out, server)
    assert result.returncode == 0, result.stderr
    return out


def test_a_corpus_on_s3_is_the_local_one_and_plain_lhotse_reads_it(local, server, monkeypatch):
    bucket = use_s3(server, server, monkeypatch)
    Store(bucket).write("in/dialogues.jsonl", BUNDLED.read_bytes())
    result = build(f"{bucket}/in/dialogues.jsonl", f"{bucket}/out/corpus", server)
    assert result.returncode == 0, result.stderr
    assert content(Store(f"{bucket}/out/corpus")) == tree(local)
    shards = json.loads((local / "corpus.json").read_text())["shards"]["train"]
    fields = {
        field: [f"{bucket}/out/corpus/train/{field}.{n:06d}.{'jsonl.gz' if field == 'cuts' else 'tar'}" for n in shards]
        for field in FIELDS
    }
    remote, here = CutSet.from_shar(fields=fields), CutSet.from_shar(in_dir=local / "train")
    for one, other in zip(remote, here, strict=True):
        assert one.id == other.id
        assert (one.load_audio() == other.load_audio()).all()
        assert (one.load_target_codes() == other.load_target_codes()).all()


def test_a_failing_slow_and_unavailable_store_gives_the_same_corpus(local, server, monkeypatch):
    proxy = FaultyProxy(server, share=0.1, delay_s=0.02, seed=3)
    proxy.start()
    bucket = use_s3(server, server, monkeypatch)
    Store(bucket).write("dialogues.jsonl", BUNDLED.read_bytes())
    away = threading.Thread(target=go_away_in_mid_build, args=(proxy, Store(f"{bucket}/corpus")))
    away.start()
    result = build(f"{bucket}/dialogues.jsonl", f"{bucket}/corpus", proxy.url)
    away.join()
    assert result.returncode == 0, result.stderr
    assert proxy.failed and len(proxy.failed) > 10
    assert content(Store(f"{bucket}/corpus")) == tree(local)


def go_away_in_mid_build(proxy: FaultyProxy, seen_directly: Store) -> None:
    """For 20 seconds, once the first shard is there."""
    for _ in range(3_000):
        if seen_directly.names(".build/done"):
            proxy.down_for(20)
            return
        time.sleep(0.1)
