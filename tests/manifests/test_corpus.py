from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from corpus_material import make_corpus

from manifests.corpus import open_corpus
from manifests.records import TokenizedDialogue
from manifests.shards import write_shard
from manifests.table import DIALOGUES, TableWriter


def test_a_dialogue_is_found_without_reading_the_other_shards(tmp_path, rendered):
    """The other shard's files are not tar files: opening them fails."""
    make_corpus(tmp_path, rendered[:3])
    renamed = replace(rendered[3].dialogue, id="elsewhere")
    spoken = replace(rendered[3].timeline.spoken, dialogue=renamed)
    other = replace(rendered[3], timeline=replace(rendered[3].timeline, spoken=spoken))
    coded = TokenizedDialogue.of(other, np.zeros((other.timeline.frames, 4), dtype=np.int16))
    write_shard(tmp_path / "train", 1, [coded], {"seed": 0, "recipe": "abc"})
    (manifest,) = (tmp_path / "manifest").iterdir()
    rows = pq.read_table(manifest).to_pylist()
    with TableWriter(manifest, DIALOGUES) as table:
        table.add_rows([*rows, rows[0] | {"id": "elsewhere", "shard": 1}])
    for file in (tmp_path / "train").glob("*.000000.*"):
        file.write_bytes(b"not for you")
    cut = open_corpus(tmp_path).cut("elsewhere")
    assert np.array_equal(np.rint(cut.load_audio()[0] * 32_768), other.user)


def test_a_row_without_a_shard_reads_the_split(small_corpus):
    rows = small_corpus.dialogues.read("id", "split", "shard")[3:5]
    known = small_corpus.cuts_of(rows)
    unknown = small_corpus.cuts_of(rows.assign(shard=pd.NA))
    assert list(known) == list(unknown) == list(rows["id"])
    assert all(known[id].supervisions == unknown[id].supervisions for id in known)
