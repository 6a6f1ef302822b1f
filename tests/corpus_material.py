"""A small finished corpus without Ray: real speech and timing, and codes only if the records have some."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from manifests.corpus import FORMAT_VERSION, Corpus
from manifests.records import DuplexDialogue, Rejected, TokenizedDialogue
from manifests.shards import write_shard
from manifests.store import Store
from manifests.table import Table, corpus_tables, write_dialogues, write_rejected
from pipeline.recipe import load_recipe
from pipeline.report.statistics import corpus_statistics

HOSTILE = "<script>alert('x')</script>"


def make_corpus(out: Path, records: list[DuplexDialogue], overrides: Sequence[str] = ()) -> Corpus:
    recipe = load_recipe(None, overrides)
    provenance = {"seed": 0, "recipe": recipe.id}
    silence = [np.zeros((r.timeline.frames, 4), dtype=np.int16) for r in records]
    coded = [
        r if isinstance(r, TokenizedDialogue) else TokenizedDialogue.of(r, zeros)
        for r, zeros in zip(records, silence, strict=True)
    ]
    rejected = [Rejected("bad", "f:1", "speak", "empty", f"Turn 1 is {HOSTILE}.")]
    for folder in ("train", "manifest", "rejected"):
        (out / folder).mkdir()
    if coded:
        write_shard(out / "train", 0, coded, provenance)
    write_dialogues(out / "manifest" / "d.parquet", coded, provenance | {"shard": 0})
    write_rejected(out / "rejected" / "r.parquet", rejected)
    kept, refused = corpus_tables(Store(out))
    info = {
        "identity": {"recipe": recipe.as_dict(), "inputs": {"1:f.jsonl": "0" * 64}, "versions": {"torch": "2.11"}},
        "statistics": corpus_statistics(kept, refused, len(kept) + len(refused), {HOSTILE: 2, "tools": 1}),
    }
    (out / "corpus.json").write_text(json.dumps(info | {"format_version": FORMAT_VERSION}), "utf-8")
    return Corpus(Store(out), info, kept, refused)


def rows_of(table: Table) -> list[dict]:
    """A table's rows, each as a dictionary."""
    return table.read().to_dict("records")
