"""Messages that name their parents become trees, one at a time."""

import pyarrow as pa
import pyarrow.parquet as pq
from material import ingested

from manifests import flat_messages
from manifests.flat_messages import as_trees
from manifests.raw_records import BrokenRecord
from stages.ingest import IngestSettings


def message(name: str, parent: str | None, tree: str | None = "t1", **fields) -> dict:
    role = "assistant" if len(name) % 2 == 0 else "prompter"
    known = {
        "message_id": name,
        "parent_id": parent,
        "text": f"{name} it is.",
        "role": role,
        "lang": "en",
        "rank": None,
    }
    return known | ({"message_tree_id": tree} if tree else {}) | fields


FIRST = [
    message("a", None), message("ab", "a", rank=1), message("ac", "a", rank=0), message("acd", "ac"), message("acde", "acd"),
]  # fmt: skip
SECOND = [message("x", None, "t2"), message("xy", "x", "t2")]


def read(*messages: object) -> list:
    return list(as_trees(enumerate(messages, 1)))


def test_a_file_of_messages_is_one_dialogue_per_tree(write_jsonl, tmp_path):
    path = write_jsonl(*FIRST, *SECOND)
    pq.write_table(pa.Table.from_pylist([*FIRST, *SECOND]), tmp_path / "d.parquet")
    for name in (path, tmp_path / "d.parquet"):
        result = ingested([name], IngestSettings())
        assert not result.rejected and result.read == 2
        assert [(d.id, [turn.text[:-7] for turn in d.turns]) for d in result.dialogues] == [
            ("t1", ["a", "ac", "acd", "acde"]), ("t2", ["x", "xy"])
        ]  # fmt: skip
        assert [d.source.rsplit(":", 1)[1] for d in result.dialogues] == ["1", "6"]


def test_messages_in_any_order_within_a_tree_or_without_its_name_are_read():
    ((at, tree),) = read(*reversed(FIRST))
    assert at == 5 and [reply["text"] for reply in tree["prompt"]["replies"]] == ["ac it is.", "ab it is."]
    nameless = [{key: value for key, value in one.items() if key != "message_tree_id"} for one in [*FIRST, *SECOND]]
    assert [(at, tree["message_tree_id"]) for at, tree in read(*nameless)] == [(1, "a"), (6, "x")]


def test_a_message_outside_its_tree_is_reported_with_the_fix():
    found = read(*FIRST[:2], *SECOND, FIRST[3], {"messages": []}, message("ab", "a"), message("ab", "a"))
    assert [(at, one.reason if isinstance(one, BrokenRecord) else [*one]) for at, one in found] == [
        (1, ["message_tree_id", "prompt"]), (3, ["message_tree_id", "prompt"]), (5, "no_parent"), (6, ["messages"]),
        (7, "no_parent"), (8, "duplicate_message"),
    ]  # fmt: skip
    assert "'acd' answers 'ac'" in found[2][1].message and "sort the messages by tree" in found[2][1].message
    circle = [message("a", "ab"), message("ab", "a")]
    assert [one.reason for _, one in read(*circle)] == ["no_parent"] * 2


def test_a_tree_with_too_many_messages_is_not_held_in_memory(monkeypatch):
    monkeypatch.setattr(flat_messages, "MOST_MESSAGES", 4)
    (_, broken), (_, tree) = read(*FIRST, *SECOND)
    assert broken.reason == "too_long" and tree["message_tree_id"] == "t2"
