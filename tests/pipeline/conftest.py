"""A small finished corpus without Ray: real speech and timing, codes of noise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from manifests.corpus import Corpus
from manifests.records import DuplexDialogue, Rejected
from manifests.shards import write_shard
from manifests.table import DIALOGUES, REJECTED, dialogue_row, read_table, write_rejected, write_table
from pipeline.recipe import load_recipe
from pipeline.statistics import corpus_statistics

HOSTILE = "<script>alert('x')</script>"


def make_corpus(out: Path, records: list[DuplexDialogue]) -> Corpus:
    recipe = load_recipe()
    provenance = {"seed": 0, "recipe": recipe.id}
    coded = [replace(r, codes=np.zeros((r.timeline.frames, 4), dtype=np.int16)) for r in records]
    rejected = [Rejected("bad", "f:1", "speak", "empty", f"Turn 1 is {HOSTILE}.")]
    for folder in ("train", "manifest", "rejected"):
        (out / folder).mkdir()
    if coded:
        write_shard(out / "train", 0, coded, provenance)
    write_table(out / "manifest" / "d.parquet", [dialogue_row(r) | provenance for r in coded], DIALOGUES)
    write_rejected(out / "rejected" / "r.parquet", rejected)
    rows, refused = read_table(out / "manifest"), read_table(out / "rejected")
    assert set(refused[0]) == set(REJECTED.names)
    info = {
        "identity": {"recipe": recipe.as_dict(), "inputs": {"1:f.jsonl": "0" * 64}, "versions": {"torch": "2.11"}},
        "statistics": corpus_statistics(rows, refused, len(rows) + len(refused)),
    }
    return Corpus(out, info, rows, refused)


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory, rendered) -> Corpus:
    return make_corpus(tmp_path_factory.mktemp("corpus"), rendered)


@pytest.fixture(scope="session")
def empty_corpus(tmp_path_factory) -> Corpus:
    return make_corpus(tmp_path_factory.mktemp("empty"), [])
