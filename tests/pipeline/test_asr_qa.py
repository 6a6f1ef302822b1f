"""Dialogues about recordings, written by a chat server in a separate process, and the corpus made from them."""

import json
from pathlib import Path

import pytest
from chat_material import answers, chat_server
from material import ingested
from recorded_material import SAID, make_cuts

from manifests.columns import dialogue_row
from manifests.errors import RequestError, WorkError
from manifests.record_files import RecordWriter, read_record_files
from manifests.records import BadDialogue
from manifests.shards import build_cut
from pipeline.asr_qa import Request, checked, write_dialogues
from pipeline.recipe import load_recipe
from stages.ingest import IngestSettings


@pytest.fixture(scope="module")
def cuts(tmp_path_factory) -> Path:
    return make_cuts(tmp_path_factory.mktemp("cuts"))


def quietly(done: int, total: int, message: str) -> None:
    pass


@pytest.fixture(scope="module")
def written(cuts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("asr-qa")
    with chat_server(folder) as url:
        outcome = write_dialogues(Request(cuts, folder / "out.jsonl", url, "small"), quietly)
    return folder / "out.jsonl", outcome


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_dialogues_join_recordings_of_one_speaker(written, cuts):
    path, outcome = written
    assert (outcome.dialogues, outcome.questions) == (2, 4)
    assert outcome.left_out == {"not_as_asked": 1, "too_short": 1}
    first, second = rows(path)
    assert first["id"] == "asr-qa-c0"
    assert [turn["text"] for turn in first["turns"]] == [
        SAID[0][1],
        "What was said about march?",
        "That the harbour was frozen.",
        SAID[1][1],
        "What was said about more?",
        "That nobody in the village.",
    ]
    assert [turn["speaker"] for turn in first["turns"]] == ["user", "user", "agent"] * 2
    assert first["turns"][0]["recording"]["recording"]["sources"][0]["source"] == str(cuts.parent / "0.wav")
    # The false answer was sent back, and corrected.
    assert second["turns"][5]["text"] == "That every liar needs a."
    rejected = rows(path.with_name("out.jsonl.rejected.jsonl"))
    assert [(row["cut"], row["reason"]) for row in rejected] == [("c4", "not_as_asked"), ("c5", "too_short")]
    assert not path.with_name("out.jsonl.part").exists()


def test_a_run_resumes_from_its_kept_dialogues(written, cuts, tmp_path, monkeypatch):
    monkeypatch.setattr("salm_duplex_model.chat.RETRY.total", 1)
    out = tmp_path / "out.jsonl"
    given_up = pytest.raises(
        WorkError, match=r"The chat endpoint at .* (does not answer|can't be reached).* cuts are done and kept"
    )
    with chat_server(tmp_path, "--die-after", "2") as url, given_up:
        write_dialogues(Request(cuts, out, url, "small", concurrency=1), quietly)
    monkeypatch.undo()
    part = out.with_name("out.jsonl.part")
    kept = part.read_text().splitlines()
    assert len(kept) > 1 and not out.exists()
    part.write_text("\n".join(kept) + '\n{"cut": "c3", "ques')  # killed while it wrote
    with chat_server(tmp_path) as url:
        with pytest.raises(RequestError, match="started with other settings"):
            write_dialogues(Request(cuts, out, url, "other"), quietly)
        write_dialogues(Request(cuts, out, url, "small"), quietly)
        given = answers(url)
    assert out.read_text() == written[0].read_text()
    assert given == 5  # one about c2, two each about c3 and c4; no request of the first run was repeated
    with pytest.raises(RequestError, match="exists"):
        write_dialogues(Request(cuts, out, url, "small"), quietly)


def test_a_file_that_is_not_a_cut_set_is_rejected(tmp_path):
    (tmp_path / "text.jsonl").write_text("hello\n")
    for path in (tmp_path / "gone.jsonl", tmp_path / "text.jsonl"):
        with pytest.raises(RequestError, match=path.name):
            write_dialogues(Request(path, tmp_path / "out.jsonl", "http://127.0.0.1:9", "x"), quietly)


TRANSCRIPT = "we met 12 people at the old bridge near Dublin"
GOOD = {
    "question": "Where did you meet them?",
    "answer": "At the old bridge near Dublin.",
    "evidence": "the old bridge",
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"answer": "You met 12 people, at the old bridge."}, None),
        ({"answer": "You met 13 people, at the old bridge."}, "not_grounded"),
        ({"answer": "A wonderful holiday resort with several swimming pools near Dublin."}, "not_grounded"),
        ({"evidence": "the new bridge"}, "no_evidence"),
        ({"evidence": "bridge"}, "no_evidence"),
        ({"evidence": "old bridge near Dub"}, "no_evidence"),
        ({"question": "Tell me about the bridge."}, "no_question"),
        ({"answer": "bridge " * 61}, "too_wordy"),
        ({"answer": ""}, "not_as_asked"),
        ({"answer": ["the bridge"]}, "not_as_asked"),
    ],
)
def test_answers_are_checked_against_the_transcript(change, reason):
    reply = json.dumps(GOOD | change)
    if reason is None:
        assert checked(f"Here you are: {reply}", TRANSCRIPT)["question"] == GOOD["question"]
        return
    with pytest.raises(BadDialogue) as error:
        checked(reply, TRANSCRIPT)
    assert error.value.reason == reason


def test_a_corpus_with_both_kinds_on_the_users_channel(written, tmp_path):
    """From the file through every stage, by way of the disk: each user turn says whether it is a recording."""
    read = ingested([written[0]], IngestSettings())
    assert not read.rejected
    records: list = read.dialogues
    for spec in load_recipe(overrides=["schedule.barge_in.share=0"]).stages:
        records = spec.make(0).process(records)
    folder = tmp_path / "records"
    folder.mkdir()
    with RecordWriter(folder) as writer:
        for record in records:
            writer.write(record)
    again = list(read_record_files(folder))
    assert [r.dialogue for r in again] == [r.dialogue for r in records]
    for record in again:
        row = dialogue_row(record)
        assert row["recorded_turns"] == 2 and "recording:" in row["user_voice"]
        supervisions = build_cut(record, {}).supervisions
        assert [s.custom["speech"] for s in supervisions] == ["recording", "synthesis", "synthesis"] * 2
        for s in supervisions:
            if s.speaker == "user":
                heard = record.user[round(s.start * 16_000) : round(s.end * 16_000)].astype(float)
                assert heard.std() > 300
    times = [s.custom["word_times"] for s in build_cut(again[0], {}).supervisions]
    assert times == ["aligned", "engine", "engine", "estimated", "engine", "engine"]
    levels = [record.user[record.user != 0].astype(float).std() for record in again]
    assert min(levels) > 300
