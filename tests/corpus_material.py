"""A small finished corpus without Ray: real speech and timing; codes only where the records have some."""

import json
from pathlib import Path

import numpy as np

from manifests.corpus import FORMAT_VERSION, Corpus
from manifests.records import DuplexDialogue, Rejected, TokenizedDialogue
from manifests.shards import write_shard
from manifests.table import DIALOGUES, REJECTED, dialogue_row, read_table, write_rejected, write_table
from pipeline.recipe import load_recipe
from pipeline.report.statistics import corpus_statistics

HOSTILE = "<script>alert('x')</script>"


def make_corpus(out: Path, records: list[DuplexDialogue]) -> Corpus:
    recipe = load_recipe()
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
    write_table(out / "manifest" / "d.parquet", [dialogue_row(r) | provenance for r in coded], DIALOGUES)
    write_rejected(out / "rejected" / "r.parquet", rejected)
    rows, refused = read_table(out / "manifest"), read_table(out / "rejected")
    assert set(refused[0]) == set(REJECTED.names)
    info = {
        "identity": {"recipe": recipe.as_dict(), "inputs": {"1:f.jsonl": "0" * 64}, "versions": {"torch": "2.11"}},
        "statistics": corpus_statistics(rows, refused, len(rows) + len(refused)),
    }
    (out / "corpus.json").write_text(json.dumps(info | {"format_version": FORMAT_VERSION}), "utf-8")
    return Corpus(out, info, rows, refused)
