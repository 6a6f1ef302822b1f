"""Shards may have any numbers; a shard that lacks a file, or is truncated, is named."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from s3_material import copy_into

from manifests.errors import WorkError
from manifests.records import TokenizedDialogue
from manifests.shard_reader import damaged_file, read_cuts
from manifests.shards import write_shard
from manifests.store import Store


@pytest.fixture(params=["local", "s3"])
def split(request: pytest.FixtureRequest, tmp_path: Path, rendered) -> Store:
    """Shards 0, 3 and 7 of two dialogues each."""
    coded = [TokenizedDialogue.of(r, np.zeros((r.timeline.frames, 4), dtype=np.int16)) for r in rendered[:6]]
    (tmp_path / "train").mkdir()
    for start, number in enumerate((0, 3, 7)):
        write_shard(tmp_path / "train", number, coded[2 * start : 2 * start + 2], {})
    if request.param == "local":
        return Store(tmp_path / "train")
    store = Store(request.getfixturevalue("s3") + "/train")
    copy_into(store, tmp_path / "train")
    return store


def test_gaps_between_shard_numbers_do_no_harm(split: Store, rendered) -> None:
    assert [cut.id for cut in read_cuts(split)] == [record.dialogue.id for record in rendered[:6]]
    assert all(np.any(cut.load_audio()) for cut in read_cuts(split))
    assert damaged_file(split) is None


def test_shuffled_shards_are_the_same_wherever_they_are(split: Store, rendered) -> None:
    ids = [cut.id for cut in read_cuts(split, shuffle_shards=True, stateful_shuffle=False, seed=3)]
    assert ids == [rendered[n].dialogue.id for n in (2, 3, 4, 5, 0, 1)]


@pytest.mark.parametrize("split", ["local"], indirect=True)
def test_nemos_reader_reads_shards_with_gaps(split: Store, rendered) -> None:
    from nemo.collections.common.data.lhotse.cutset import read_cutset_from_config
    from omegaconf import OmegaConf

    config = OmegaConf.create({"shar_path": split.url, "use_ais_get_batch": False, "force_finite": True})
    cuts, _ = read_cutset_from_config(config)
    assert sorted(cut.id for cut in cuts) == sorted(record.dialogue.id for record in rendered[:6])


def test_a_shard_that_lacks_a_file_is_named(split: Store) -> None:
    split.remove("target_codes.000003.tar")
    with pytest.raises(WorkError, match=f"{split.url}/target_codes.000003.tar is missing"):
        list(read_cuts(split))


def test_a_file_that_is_cut_short_is_named(split: Store) -> None:
    whole = split.read("target_audio.000003.tar")
    split.write("target_audio.000003.tar", whole[: len(whole) // 2])
    damaged = damaged_file(split)
    assert damaged is not None and damaged[0] == f"{split.url}/target_audio.000003.tar"


def test_skipped_fields_are_not_read(split):
    for field in ("target_audio", "context_audio"):
        for name in [name for name in split.names() if name.startswith(field)]:
            split.write(name, b"unreadable")
    cuts = list(read_cuts(split, without=("target_audio", "context_audio")))
    assert cuts and all(np.any(cut.load_audio()) and cut.load_custom("target_codes").size for cut in cuts)


@pytest.mark.parametrize("split", ["local"], indirect=True)
def test_a_cut_that_names_a_command_is_rejected_and_runs_nothing(split: Store, tmp_path: Path) -> None:
    def name_a_command(line: bytes) -> bytes:
        cut = json.loads(line)
        cut["recording"]["sources"] = [{"type": "command", "channels": [0, 1], "source": f"touch {tmp_path}/ran"}]
        return json.dumps(cut).encode()

    lines = gzip.decompress(split.read("cuts.000003.jsonl.gz")).splitlines()
    split.write("cuts.000003.jsonl.gz", gzip.compress(b"\n".join(map(name_a_command, lines))))
    with pytest.raises(WorkError, match="names a source of type 'command' outside its shard"):
        [cut.load_audio() for cut in read_cuts(split, 3, without=["recording"])]
    assert not (tmp_path / "ran").exists()
