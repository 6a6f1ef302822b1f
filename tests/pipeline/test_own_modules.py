"""The user's own files with the names of our packages, in the working folder and on PYTHONPATH, change nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from material import openai

COMMAND = Path(sys.executable).with_name("salm-duplex")


@pytest.fixture
def folder(tmp_path):
    for name in ("pipeline", "stages", "manifests"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('the {name}.py of the user was imported')\n")
    (tmp_path / "dialogues.jsonl").write_text(json.dumps(openai("a")))
    return tmp_path


@pytest.mark.parametrize("on_path", [False, True])
def test_the_command_uses_its_own_packages(folder, on_path):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PYTHONPATH": str(folder)} if on_path else {}

    def run(*arguments: str) -> str:
        result = subprocess.run([COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert "Usage" in run("build", "--help")
    assert run("recipe").startswith("seed: 0\n")
    run("stage", "ingest", "--in", "dialogues.jsonl", "--out", "ingested")
    run("stage", "speak", "--in", "ingested", "--out", "spoken")


def test_a_custom_stage_in_the_working_folder_is_found(folder):
    (folder / "mine.py").write_text("from stages.render import Render\nclass Louder(Render): ...\n")
    printed = subprocess.run([COMMAND, "recipe", "--set", "render.use=mine:Louder"], cwd=folder, capture_output=True)
    assert b"use: mine:Louder" in printed.stdout
