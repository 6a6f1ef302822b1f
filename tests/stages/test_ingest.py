import gzip
import json

import pytest
from material import openai

from manifests.sources import UnreadableInput
from stages.ingest import IngestSettings, ingest, safe_id, text_key


def read(path, seed=0, limit=None, **settings):
    return ingest([str(path)], IngestSettings(**settings), seed, limit)


def many(n):
    return [openai(f"d{i}", f"Question number {i}?", f"Answer number {i}.") for i in range(n)]


def test_every_record_is_kept_or_rejected(write_jsonl):
    path = write_jsonl(
        openai("a"), openai("a", "Other words.", "Yes."), openai("b"), {"nothing": 1}, openai("c", "x", "y")
    )
    with path.open("a") as file:
        file.write('{"broken')
    result = read(path)
    assert result.read == 6 == len(result.dialogues) + len(result.rejected)
    assert [r.reason for r in result.rejected] == ["duplicate_id", "duplicate_text", "unknown_format", "broken_json"]
    assert result.rejected[1].id == "b"


def test_duplicates_are_found_whatever_the_case_punctuation_and_spacing(write_jsonl):
    path = write_jsonl(openai("a", "Hello, there!", "Good day."), openai("b", "hello   THERE", "“Good day”"))
    assert [r.reason for r in read(path).rejected] == ["duplicate_text"]


def test_splits_have_their_shares_and_share_no_dialogue(write_jsonl):
    result = read(write_jsonl(*many(100)), validation=0.1, test=0.2)
    count = {s: sum(d.split == s for d in result.dialogues) for s in ("train", "validation", "test")}
    assert count == {"train": 70, "validation": 10, "test": 20}
    assert len({text_key(d) for d in result.dialogues}) == 100


def test_the_split_depends_on_the_seed_and_the_words_not_on_the_order(write_jsonl):
    forward = {d.id: d.split for d in read(write_jsonl(*many(60), name="a.jsonl")).dialogues}
    backward = {d.id: d.split for d in read(write_jsonl(*reversed(many(60)), name="b.jsonl")).dialogues}
    other = {d.id: d.split for d in read(write_jsonl(*many(60), name="c.jsonl"), seed=1).dialogues}
    assert forward == backward
    assert forward != other


def test_limits_are_reasons(write_jsonl):
    path = write_jsonl(openai("long", "word " * 500, "Yes."), openai("many", *(f"turn {i}" for i in range(12))))
    result = read(path, max_turns=10, max_turn_characters=1000)
    assert [(r.id, r.reason) for r in result.rejected] == [("long", "turn_too_long"), ("many", "too_many_turns")]


@pytest.mark.parametrize("raw", ["../../etc/passwd", "a/b", "x" * 500, "naïve id", "", ".hidden", "a\0b"])
def test_ids_become_file_names_and_stay_distinct(raw):
    made = safe_id(raw)
    assert "/" not in made and not made.startswith(".") and 0 < len(made) <= 120
    assert made.isascii()
    assert safe_id(raw + "!") != made


def test_good_ids_are_kept():
    assert safe_id("dlg-2bb049fc_1.json") == "dlg-2bb049fc_1.json"


def test_fingerprint_is_of_the_content_not_its_packing(tmp_path):
    line = json.dumps(openai("a")).encode()
    (tmp_path / "a.jsonl").write_bytes(line)
    (tmp_path / "b.jsonl").write_bytes(gzip.compress(line))
    plain, packed = read(tmp_path / "a.jsonl"), read(tmp_path / "b.jsonl")
    assert list(plain.fingerprints.values()) == list(packed.fingerprints.values())


def test_an_empty_input_is_an_error(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(UnreadableInput, match="no dialogues"):
        read(tmp_path / "empty.jsonl")


def test_limit_counts_records(write_jsonl):
    assert read(write_jsonl(*many(10)), limit=4).read == 4


def test_takes_of_a_dialogue_are_kept_to_one_split(write_jsonl):
    result = read(write_jsonl(*many(40), openai("d3-take2", "x", "y")), takes=3)
    assert [(r.id, r.reason) for r in result.rejected] == [("d3-take2", "duplicate_id")]
    assert result.read == 121 == len(result.dialogues) + len(result.rejected)
    assert len({d.id for d in result.dialogues}) == 120
    split = {d.id: d.split for d in result.dialogues}
    assert all(split[f"d{i}"] == split[f"d{i}-take2"] == split[f"d{i}-take3"] for i in range(40))
    assert split == {d.id: d.split for d in read(write_jsonl(*many(40), name="b.jsonl"), takes=3).dialogues}


def test_the_input_may_fix_splits(write_jsonl):
    own = [
        {
            "id": f"o{i}",
            "split": "test",
            "turns": [{"speaker": "user", "text": f"{i}?"}, {"speaker": "agent", "text": "Yes."}],
        }
        for i in range(5)
    ]
    result = read(write_jsonl(*many(20), *own), test=0.1, validation=0.1)
    assert sum(d.split == "test" for d in result.dialogues) == 5 + 2
    assert all(d.split == "test" for d in result.dialogues if d.id.startswith("o"))
