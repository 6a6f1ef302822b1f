import gzip
import json
from collections import Counter

import pytest
from material import ingested, openai

from manifests.sources import UnreadableInput
from stages.ingest import IngestSettings, ingest, safe_id, text_key


def read(path, seed=0, limit=None, **settings):
    return ingested([path], IngestSettings(**settings), seed, limit)


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


def test_duplicates_are_found_regardless_of_case_punctuation_and_spacing(write_jsonl):
    path = write_jsonl(openai("a", "Hello, there!", "Good day."), openai("b", "hello   THERE", "“Good day”"))
    assert [r.reason for r in read(path).rejected] == ["duplicate_text"]


def splits(result) -> dict[str, str]:
    return {dialogue.id: dialogue.split for dialogue in result.dialogues}


def test_splits_lie_around_their_shares_and_share_no_dialogue(write_jsonl):
    result = read(write_jsonl(*many(2_000)), validation=0.1, test=0.2)
    count = Counter(splits(result).values())
    # Four standard deviations of the binomial distribution.
    assert abs(count["test"] - 400) < 4 * 18 and abs(count["validation"] - 200) < 4 * 14
    assert len({text_key(d) for d in result.dialogues}) == 2_000


def test_more_input_moves_no_dialogue(write_jsonl):
    few = splits(read(write_jsonl(*many(400), name="few.jsonl")))
    more = splits(read(write_jsonl(*reversed(many(1_500)), name="more.jsonl")))
    assert few == {id: more[id] for id in few}
    wider = splits(read(write_jsonl(*many(400)), test=0.2))
    assert all(wider[id] == split for id, split in few.items() if split != "train")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, ["train"]),
        (2, ["test", "train"]),
        (3, ["test", "train", "validation"]),
        (12, ["test", "train", "validation"]),
    ],
)
def test_a_small_input_gets_every_split_but_never_loses_its_last_training_dialogue(write_jsonl, number, expected):
    for seed in range(20):
        result = read(write_jsonl(*many(number)), seed, validation=0.001, test=0.001)
        assert sorted(set(splits(result).values())) == expected
        assert Counter(splits(result).values())["train"] == max(1, number - 2)
    assert set(splits(read(write_jsonl(*many(12)), validation=0, test=0)).values()) == {"train"}


def test_a_small_input_moves_a_recorded_user_whole(write_jsonl):
    def talk(number: int) -> dict:
        source = {"type": "file", "channels": [0], "source": "a.wav"}
        cut = {"duration": 1, "recording": {"sources": [source]}, "supervisions": [{"speaker": f"user{number % 3}"}]}
        turns = [{"speaker": "user", "text": f"{number}?", "recording": cut}, {"speaker": "agent", "text": "Yes."}]
        return {"id": f"d{number}", "turns": turns}

    found = splits(read(write_jsonl(*map(talk, range(30))), validation=0.001, test=0.001))
    assert Counter(found.values()) == {"train": 10, "validation": 10, "test": 10}
    assert all(found[f"d{number}"] == found[f"d{number % 3}"] for number in range(30))


def test_dialogues_are_streamed_before_all_are_read(write_jsonl):
    stream = ingest([str(write_jsonl(*many(3_000)))], IngestSettings(), 0)
    first = next(iter(stream))
    assert (first.id, stream.fingerprints, stream.read) == ("d0", {}, 1)


def test_takes_are_consecutive(write_jsonl):
    result = read(write_jsonl(*many(2)), takes=2)
    assert [d.id for d in result.dialogues] == ["d0", "d0-take2", "d1", "d1-take2"]


def test_a_duplicate_names_the_position_of_the_first(write_jsonl):
    first = write_jsonl(openai("a"), openai("b", "x", "y"), openai("b", "other", "words"), name="one.jsonl")
    second = write_jsonl(openai("c"), name="two.jsonl")
    result = ingested([first, second], IngestSettings())
    assert [(r.id, r.source, r.message) for r in result.rejected] == [
        ("b", "one.jsonl:3", "The id b was already used at one.jsonl:2."),
        ("c", "two.jsonl:1", "The same words were already read at one.jsonl:1."),
    ]


def test_the_same_id_in_two_files_is_two_dialogues(write_jsonl):
    first = write_jsonl(openai("a", "1?", "1."), openai("b", "2?", "2."), name="one.jsonl")
    second = write_jsonl(openai("b", "3?", "3."), openai("b", "4?", "4."), openai("c", "5?", "5."), name="two.jsonl")
    result = ingested([first, second], IngestSettings(takes=2))
    assert [d.id for d in result.dialogues][::2] == ["a", "b", "b-two", "c"]
    assert [(r.id, r.reason) for r in result.rejected] == [("b", "duplicate_id")]


def test_a_conversation_id_may_occur_twice(write_jsonl):
    records = [openai("", f"{n}?", "Yes.") | {"conversation_id": "x"} for n in range(3)]
    result = read(write_jsonl(*records, name="f.jsonl"))
    assert [d.id for d in result.dialogues] == ["x", "f-000002", "f-000003"] and not result.rejected


def test_dialogues_without_ids_in_files_of_one_name_are_kept_apart(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "chat.json").write_text(json.dumps([{"data": [f"{folder}?", "Yes."]}]))
    assert [d.id for d in ingested([tmp_path], IngestSettings()).dialogues] == ["chat-000001", "chat-2-000001"]


def test_quotes_of_the_input_can_always_be_written(tmp_path):
    objects = [{"id": "\ud800", "x\ud800": 1}, {"id": "r", "messages": [{"role": "r" * 10**6}]}]
    (tmp_path / "odd.jsonl").write_text("\n".join(map(json.dumps, objects)))
    rejected = read(tmp_path / "odd.jsonl").rejected
    assert [r.id for r in rejected] == ["?", "r"]
    assert all(len(r.message.encode()) <= 1_000 for r in rejected)


def test_unused_contents_of_kept_dialogues_are_counted(write_jsonl):
    tools = [openai(f"d{n}", f"{n}?", "Yes.") | {"tools": [{"name": "f"}], f"note{n}": "x"} for n in range(300)]
    ingestion = ingest([str(write_jsonl(*tools, tools[0], name="t.jsonl"))], IngestSettings(), 0)
    list(ingestion)
    assert ingestion.not_used["tools"] == ingestion.shapes["OpenAI messages"] == 300
    assert len(ingestion.not_used) == 201 and sum(ingestion.not_used.values()) == 600


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


@pytest.mark.parametrize("raw", ["../../etc/passwd", "a/b", "x" * 500, "naïve id", "", ".hidden", "a\0b", "_0"])
def test_ids_become_file_names_and_stay_distinct(raw):
    made = safe_id(raw)
    assert "/" not in made and not made.startswith(".") and 0 < len(made) <= 120
    assert made.isascii()
    assert safe_id(raw + "!") != made


def test_good_ids_are_kept():
    assert safe_id("dlg-2bb049fc_1.json") == "dlg-2bb049fc_1.json"


def test_the_fingerprint_is_of_the_content_not_its_compression(tmp_path):
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
    alone = read(write_jsonl(*many(20)), test=0.1, validation=0.1)
    assert {i: s for i, s in splits(result).items() if i in splits(alone)} == splits(alone)
    assert all(d.split == "test" for d in result.dialogues if d.id.startswith("o"))
