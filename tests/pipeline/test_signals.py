"""Ctrl-C and SIGTERM, sent to a real build while Ray works: one sentence, no stack, and the same command resumes."""

import signal
import subprocess
import sys
import time

from material import openai

from manifests.corpus import open_corpus

DIALOGUES = 16


def count(folder) -> int:
    return len(list(folder.glob("*.json"))) if folder.is_dir() else 0


def test_a_stopped_build_says_one_sentence_and_the_same_command_resumes(tmp_path, write_jsonl):
    dialogues = [
        openai(f"d{i}", f"Tell me about number {i}, please.", f"It comes after {i}.") for i in range(DIALOGUES)
    ]
    command = [sys.executable, "-m", "pipeline.cli", "build", write_jsonl(*dialogues), "--out", tmp_path / "c"]
    command = [*map(str, command), "--set", "pack.shard_size=1", "--workers", "1", "--json"]
    done = tmp_path / "c" / ".build" / "done"
    for number in (signal.SIGINT, signal.SIGTERM):
        finished = count(done)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while count(done) < finished + 2 and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(number)
            stdout, stderr = process.communicate()
        assert stderr == "salm-duplex: stopped; what is finished is kept, and the same command resumes.\n"
        assert (process.returncode, stdout) == (1, "")
        assert 2 <= count(done) < DIALOGUES and not (tmp_path / "c" / "corpus.json").exists()
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert sum(open_corpus(tmp_path / "c").info["statistics"]["dialogues"].values()) == DIALOGUES
