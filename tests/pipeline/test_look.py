"""`look`: the format of a file, and what a build would make of it."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from material import openai
from typer.testing import CliRunner

from manifests.errors import RequestError, WorkError
from manifests.progress import silent
from pipeline.building.single import run_stage
from pipeline.cli import app
from pipeline.look import EXAMPLES, look
from pipeline.recipe import load_recipe

CASES = sorted((Path(__file__).parents[1] / "data" / "cases").iterdir())


@pytest.fixture(scope="module")
def recipe():
    return load_recipe()


def printed(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["look", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("path", CASES, ids=[path.name for path in CASES])
def test_each_case_adds_up(path, recipe):
    found = look([str(path)], recipe, None, silent)
    assert found.read == found.dialogues + sum(one.number for one in found.refused if one.stage == "ingest") > 0
    assert sum(found.shapes.values()) == found.dialogues > 0
    assert len(found.examples) == min(EXAMPLES, found.dialogues)
    assert all(number > 0 for number in found.not_used.values())


def test_output_is_printed_as_text_or_json(write_jsonl):
    lines = [openai(f"d{n}", f"{n}?", "Yes [bold].") | {"tools": ["f"]} for n in range(5)]
    path = write_jsonl(*lines, lines[0], openai("long", "word " * 130, "Yes."), {"nothing": 1}, name="some.jsonl")
    text = printed(path)
    assert "6 of 8 records are dialogues: 6 × OpenAI messages" in text
    assert "\nd2 (some.jsonl:3)\n  user: 2?\n  agent: Yes [bold].\n" in text and "d3" not in text
    assert "would be rejected: 1 × ingest/duplicate_id, the first at some.jsonl:6" in text
    assert "would be rejected: 1 × speak/turn_too_long, the first at some.jsonl:7" in text
    assert "not used: tools 5 ×" in text and "as spoken" not in text
    found = json.loads(printed(path, "--json", "--limit", "2"))
    assert (found["read"], found["dialogues"], found["not_used"]) == (2, 2, {"tools": 2})
    assert found["examples"][0]["turns"][0] == {"speaker": "user", "text": "0?"}


def test_changes_of_the_text_are_counted(write_jsonl):
    path = write_jsonl(openai("d", "How?", "*smiles* " + "It goes on and on. " * 40, "👍", "```\nx\n```"))
    counts = (
        'parts of longer answers 2 ×, turns added between them ("go on") 1 ×, code blocks, replaced by a phrase 1 ×'
    )
    expected = f"as spoken: {counts}, stage directions not read aloud 1 ×, dropped turns with nothing to say 1 ×"
    assert expected in " ".join(printed(path).split())


def test_the_stage_ingest_reports_unused_contents(write_jsonl, tmp_path, recipe):
    path = write_jsonl(*(openai(f"d{n}", f"{n}?", "Yes.") | {"tools": ["f"]} for n in range(3)))
    counts = run_stage("ingest", str(path), str(tmp_path / "out"), recipe)
    assert counts == {"kept": 3, "rejected": 0, "not_used": {"tools": 3}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "a PNG image"),
        (b"PK\x03\x04\0\0", "a ZIP archive"),
        (b"name,text\nMia,Hello\n", "Line 1 is not valid JSON (Expecting value at column 1: 'name,text')"),
        (b"<!DOCTYPE html>\n<html></html>", "a web page or XML"),
        (b"a.txt".ljust(257, b"\0") + b"ustar\x0000".ljust(255, b"\0"), "a tar archive"),
        (gzip.compress(b"a.txt".ljust(257, b"\0") + b"ustar  \0".ljust(255, b"\0"), mtime=0), "a tar archive"),
        (b'{"model": "x", "layers": [1, 2]}', "No dialogue format has the keys layers, model"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, recipe, content, message):
    path = tmp_path / "other.jsonl"
    path.write_bytes(content)
    (refusal,) = look([str(path)], recipe, None, silent).refused
    assert message in refusal.message
    with pytest.raises(WorkError, match="No dialogue could be read"):
        printed(path)


def test_a_parquet_without_dialogues_names_its_columns(tmp_path, recipe):
    pq.write_table(pa.table({"price": [1.0, 2.0], "name": ["a", "b"]}), path := tmp_path / "prices.parquet")
    (refusal,) = look([str(path)], recipe, None, silent).refused
    assert refusal.number == 2 and "No dialogue format has the keys name, price" in refusal.message


def test_a_file_that_does_not_exist_or_is_empty_is_a_wrong_request(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    for name, message in (("none.jsonl", "does not exist"), ("empty.jsonl", "has no dialogues")):
        with pytest.raises(RequestError, match=message):
            printed(tmp_path / name)
