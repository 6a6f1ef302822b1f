"""A single cut from a shard equals the sequential reader's, and the data of the others are not read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from s3_material import copy_into

from manifests.errors import WorkError
from manifests.records import TokenizedDialogue
from manifests.shard_index import CutReader, read_members
from manifests.shard_reader import read_cuts
from manifests.shards import write_shard
from manifests.store import Store

LONG = "ä" * 150
"""Longer than the name that a plain tar header holds."""


@pytest.fixture(params=["local", "s3"])
def split(request: pytest.FixtureRequest, tmp_path: Path, rendered) -> Store:
    """A shard of four dialogues, one with a long id."""
    spoken = rendered[3].timeline.spoken
    long = replace(spoken, dialogue=replace(spoken.dialogue, id=LONG))
    records = [*rendered[:3], replace(rendered[3], timeline=replace(rendered[3].timeline, spoken=long))]
    codes = [np.full((r.timeline.frames, 4), n, dtype=np.int16) for n, r in enumerate(records)]
    (tmp_path / "train").mkdir()
    coded = [TokenizedDialogue.of(r, own) for r, own in zip(records, codes, strict=True)]
    write_shard(tmp_path / "train", 7, coded, {"seed": 3})
    if request.param == "local":
        return Store(tmp_path / "train")
    store = Store(request.getfixturevalue("s3") + "/train")
    copy_into(store, tmp_path / "train")
    return store


def test_a_cut_equals_the_sequential_readers(split: Store) -> None:
    reader = CutReader()
    cuts = list(read_cuts(split))
    assert cuts[-1].id == LONG
    for cut in reversed(cuts):
        found = reader.cut(split, 7, cut.id)
        assert found.supervisions == cut.supervisions
        assert found.custom.keys() == cut.custom.keys() - {"shard_origin", "shar_epoch"}
        assert np.array_equal(found.load_audio(), cut.load_audio())
        assert np.array_equal(found.load_target_audio(), cut.load_target_audio())
        assert np.array_equal(found.load_custom("target_codes"), cut.load_custom("target_codes"))


def test_the_other_dialogues_of_a_shard_are_not_read(split: Store) -> None:
    wanted, *others = [cut.id for cut in read_cuts(split)]
    for name in [name for name in split.names() if name.endswith(".tar")]:
        with split.open(name) as file:
            members = read_members(file)
        content = bytearray(split.read(name))
        for id in others:
            for offset, size in members[id].values():
                content[offset : offset + size] = b"?" * size
        split.write(name, bytes(content))
    assert np.any(CutReader().cut(split, 7, wanted).load_audio())
    with pytest.raises(WorkError, match=r"recording\.000007\.tar is damaged"):
        CutReader().cut(split, 7, others[0])


def test_a_missing_dialogue_is_named(split: Store) -> None:
    with pytest.raises(KeyError):
        CutReader().cut(split, 7, "nobody")
    with pytest.raises(WorkError, match=r"cuts\.000008\.jsonl\.gz is missing"):
        CutReader().cut(split, 8, LONG)
    whole = split.read("target_audio.000007.tar")
    split.write("target_audio.000007.tar", whole[: len(whole) // 2])
    with pytest.raises(WorkError, match=r"target_audio\.000007\.tar is damaged"):
        CutReader().cut(split, 7, LONG)
    split.remove("target_codes.000007.tar")
    split.write("target_audio.000007.tar", whole)
    with pytest.raises(WorkError, match=r"target_codes\.000007\.tar is missing"):
        CutReader().cut(split, 7, LONG)


def test_places_are_evicted_when_there_are_many(split: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manifests.shard_index.MOST_MEMBERS", 9)
    reader = CutReader()
    for cut in read_cuts(split):
        assert reader.cut(split, 7, cut.id).id == cut.id
    assert list(reader._known) == [split.at("target_audio.000007.tar"), split.at("target_codes.000007.tar")]
