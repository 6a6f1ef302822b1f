"""Stores: a local folder and a bucket on a real S3-speaking server do the same; a bad server is ridden out or named."""

from pathlib import Path

import pytest

from manifests.store import Store


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "corpus" if request.param == "local" else request.getfixturevalue("s3") + "/corpus")


def test_what_is_written_is_read_listed_and_removed(store: Store) -> None:
    assert not store.exists() and store.names() == [] and store.names("train") == []
    store.write("train/b", b"two")
    store.write("train/a", b"one")
    store.write("train/a", b"three")
    assert store.names() == ["train"] and store.names("train") == ["a", "b"]
    assert store.read("train/a") == b"three"
    assert store.exists("train") and store.exists("train/a") and not store.exists("train/c")
    store.remove("train")
    store.remove("train")
    assert not store.exists("train") and store.names() == []
