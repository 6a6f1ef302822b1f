import numpy as np
import pyarrow.parquet as pq
from lhotse import CutSet

from manifests.records import Rejected, TokenizedDialogue
from stages.pack import DIALOGUES, REJECTED, pack

PROVENANCE = {"seed": 3, "recipe": "abc"}


def test_a_rows_shard_is_the_one_that_holds_its_cut(tmp_path, rendered):
    coded = [TokenizedDialogue.of(r, np.zeros((r.timeline.frames, 4), dtype=np.int16)) for r in rendered[:3]]
    pack(tmp_path, 7, coded, [Rejected("x", "f:1", "speak", "empty", "It is empty.")], PROVENANCE)
    rows = pq.read_table(tmp_path / DIALOGUES).to_pylist()
    assert {(row["shard"], row["seed"], row["recipe"]) for row in rows} == {(7, 3, "abc")}
    cuts = list(CutSet.from_jsonl(tmp_path / "cuts.000007.jsonl.gz"))
    assert [row["id"] for row in rows] == [cut.id for cut in cuts]
    assert [row["id"] for row in pq.read_table(tmp_path / REJECTED).to_pylist()] == ["x"]


def test_a_shard_without_dialogues_has_only_its_tables(tmp_path):
    pack(tmp_path, 0, [], [], PROVENANCE)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([DIALOGUES, REJECTED])
    assert pq.read_table(tmp_path / DIALOGUES).num_rows == 0
