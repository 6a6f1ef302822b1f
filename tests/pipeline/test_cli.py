"""The command line from the user's side: output and exit codes."""

import json
import os
import subprocess
import sys

import pytest
from command_material import run_inside
from corpus_material import rows_of
from material import openai


def run(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *map(str, arguments)], capture_output=True, text=True, **options
    )


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The output of a wrong request: one sentence, exit code 2, no traceback."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1 or "╭" in result.stderr
    return result.stderr


BAD_DIALOGUES = {
    "broken_json": '{"id": "x", "messages": [',
    "wrong_role": json.dumps({"id": "role", "messages": [{"role": "narrator", "content": "Once upon a time."}]}),
    "empty_turn": json.dumps(openai("empty", "Hello?", "   ")),
    "turn_too_long": json.dumps(openai("endless", "and so on " * 2000, "Yes.")),
    "nul_byte": json.dumps(openai("nul", "Hello\0there.", "Yes.")),
    "emoji_only": json.dumps(openai("emoji", "🎉🎉🎉", "Yes.")),
    "duplicate_id": json.dumps(openai("good", "Another text.", "Yes.")),
    "unsupported_script": json.dumps(openai("script", "What does 你好 mean, please?", "It means hello.")),
    "language": json.dumps(openai("chinese", "你好，请问车站在哪里？往前走吗？", "是的。")),
    "not_utf8": None,
}


def test_each_kind_of_bad_dialogue_is_rejected_with_its_reason_and_the_build_continues(tmp_path):
    lines = [json.dumps(openai("good")), *(line for line in BAD_DIALOGUES.values() if line)]
    good, bytes_file = tmp_path / "dialogues.jsonl", tmp_path / "bytes.jsonl"
    good.write_text("\n".join(lines), "utf-8")
    bytes_file.write_bytes(b'{"id": "\xff"}')
    result = run("build", good, bytes_file, "--out", tmp_path / "c", "--json")
    assert result.returncode == 0, result.stderr
    statistics = json.loads(result.stdout)
    assert sum(statistics["dialogues"].values()) == 1
    assert statistics["rejected"] == len(BAD_DIALOGUES) == sum(statistics["rejected_by_reason"].values())
    assert {reason.split("/")[1] for reason in statistics["rejected_by_reason"]} == set(BAD_DIALOGUES)
    from manifests.corpus import open_corpus

    rows = rows_of(open_corpus(tmp_path / "c").rejected)
    assert all(row["message"].endswith(".") and row["source"] for row in rows)
    assert next(row for row in rows if row["reason"] == "unsupported_script")["id"] == "script"


def test_when_nothing_is_usable_the_work_has_failed(tmp_path, write_jsonl):
    result = run("build", write_jsonl(openai("a", "🎉", "🎉")), "--out", tmp_path / "c")
    assert result.returncode == 1
    assert "No dialogue could be used" in result.stderr


def test_a_missing_input_is_rejected_before_any_work(tmp_path):
    said = refused(run_inside("build", tmp_path / "nowhere.jsonl", "--out", tmp_path / "c"))
    assert "nowhere.jsonl does not exist" in said
    assert not (tmp_path / "c").exists()


def test_a_wrong_recipe_key_is_rejected_with_the_allowed_ones(tmp_path, write_jsonl):
    said = refused(run_inside("build", write_jsonl(openai("a")), "--out", tmp_path / "c", "--set", "schedule.barge=1"))
    assert "no key 'schedule.barge'" in said and "barge_in" in said
    assert not (tmp_path / "c").exists()


def test_an_unknown_voice_is_rejected_before_any_work(tmp_path, write_jsonl):
    voice = "cast.agent_voice=en-us+nobody?pitch=50&range=50&rate=160"
    said = refused(run_inside("build", write_jsonl(openai("a")), "--out", tmp_path / "c", "--set", voice))
    assert "no voice 'en-us+nobody'" in said
    assert not (tmp_path / "c").exists()


def test_an_output_that_cannot_be_written_is_rejected(tmp_path, write_jsonl):
    (tmp_path / "file").write_text("in the way")
    said = refused(run_inside("build", write_jsonl(openai("a")), "--out", tmp_path / "file" / "c"))
    assert "can't be written" in said


def test_a_codec_without_voices_is_rejected(tmp_path):
    said = refused(
        run_inside("codec", "train", "--out", tmp_path / "c.safetensors", "--set", "agent_voice='en?volume=1'")
    )
    assert "'en?volume=1' is not like" in said


def test_a_folder_that_is_not_a_corpus_is_reported(tmp_path):
    assert "is not a corpus" in refused(run_inside("inspect", tmp_path))
    assert "is not a corpus" in refused(run_inside("report", tmp_path))


def test_a_corpus_with_another_format_version_is_reported(tmp_path):
    (tmp_path / "corpus.json").write_text('{"format_version": 99}')
    assert "format version 99" in refused(run_inside("inspect", tmp_path))


def test_an_unknown_stage_is_rejected(tmp_path):
    said = refused(run_inside("stage", "sing", "--in", tmp_path, "--out", tmp_path / "o"))
    assert "no stage 'sing'" in said and "synthesize" in said


def test_a_stage_without_its_input_is_reported(tmp_path):
    said = refused(run_inside("stage", "render", "--in", tmp_path, "--out", tmp_path / "o"))
    assert "contains no records.jsonl" in said
    assert not (tmp_path / "o").exists()


def test_a_stage_on_another_stages_records_is_reported(tmp_path, write_jsonl):
    assert run_inside("stage", "ingest", "--in", write_jsonl(openai("a")), "--out", tmp_path / "i").returncode == 0
    result = run_inside("stage", "render", "--in", tmp_path / "i", "--out", tmp_path / "o")
    assert result.returncode in (1, 2)
    assert "Dialogue records" in result.stderr and "Traceback" not in result.stderr


def test_the_printed_recipe_can_be_given_back(tmp_path):
    printed = run_inside("recipe", "--set", "seed=4")
    (tmp_path / "r.yaml").write_text(printed.stdout)
    assert run_inside("recipe", "--recipe", tmp_path / "r.yaml").stdout == printed.stdout


def test_doctor_finds_the_embedded_defaults_usable():
    result = run("doctor", "--json")
    assert result.returncode == 0, result.stderr
    findings = {f["component"]: f for f in json.loads(result.stdout)}
    assert all(f["usable"] for f in findings.values() if f["needed"])
    assert findings["NeMo"]["usable"]
    assert findings["NeMo FastPitch"]["usable"] and "downloads about 500 MB" in findings["NeMo FastPitch"]["detail"]
    assert findings["NeMo MagpieTTS"]["usable"] and "downloads about 1.5 GB" in findings["NeMo MagpieTTS"]["detail"]


def test_doctor_says_what_is_missing_and_how_to_get_it(tmp_path):
    """Without the extra's package on the path, the finding has the fix."""
    hide = "import importlib.metadata as m, sys\nreal = m.version\n"
    hide += "def version(name):\n    if name == 'pystoi': raise m.PackageNotFoundError(name)\n    return real(name)\n"
    (tmp_path / "sitecustomize.py").write_text(hide + "m.version = version\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    findings = json.loads(run("doctor", "--json", env=os.environ | {"PYTHONPATH": path}).stdout)
    (found,) = [f for f in findings if f["component"] == "STOI and PESQ"]
    assert not found["usable"]
    assert "pip install '.[codec]'" in found["detail"]


@pytest.mark.parametrize("arguments", [[], ["build"], ["stage"], ["inspect"], ["codec"], ["doctor"], ["recipe"]])
def test_help_lists_the_commands(arguments):
    result = run(*arguments, "--help")
    assert result.returncode == 0
    assert "Usage" in result.stdout
    assert len(result.stdout) > 200
