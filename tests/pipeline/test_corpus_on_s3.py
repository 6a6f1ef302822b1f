"""The commands that read a corpus accept one at a URL; `report` writes back to it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from material import SMALL_RUN
from s3_material import copy_into

from manifests.corpus import Corpus
from manifests.store import Store
from pipeline.codec import read_voice
from salm_duplex_model.checkpoint import read_log


@pytest.fixture
def store(s3: str, small_corpus: Corpus) -> Store:
    store = Store(f"{s3}/corpus")
    copy_into(store, Path(small_corpus.url))
    return store


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def outcome(*arguments: object) -> str:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_report_writes_the_same_to_a_store_and_to_a_folder(store: Store, small_corpus: Corpus, tmp_path: Path) -> None:
    said = outcome("report", store)
    assert f"Wrote {store.url}/report.html and {store.url}/README.md" in said
    outcome("report", small_corpus.url)
    for name in ("report.html", "README.md"):
        assert store.read(name) == (Path(small_corpus.url) / name).read_bytes()


def test_inspect_shows_the_same_dialogue(store: Store, small_corpus: Corpus) -> None:
    assert json.loads(outcome("inspect", store, "--json")) == json.loads(outcome("inspect", small_corpus.url, "--json"))


def test_training_steps_are_those_of_the_folder(store: Store, small_corpus: Corpus, tmp_path: Path) -> None:
    preset = tmp_path / "small.yaml"
    preset.write_text(yaml.safe_dump(SMALL_RUN))
    for corpus, folder in ((store, "s3"), (small_corpus.url, "local")):
        outcome(
            "train", "--corpus", corpus, "--out", tmp_path / folder, "--preset", preset, "--set", "optimizer.steps=10"
        )
    remote, local = (read_log(tmp_path / folder) for folder in ("s3", "local"))
    assert [row["step"] for row in remote] == list(range(1, 11))
    assert [row["loss"] for row in remote] == [row["loss"] for row in local]


def test_codec_personalize_hears_the_same_voice(store: Store, small_corpus: Corpus) -> None:
    assert read_voice(store.url).keys() == read_voice(small_corpus.url).keys()


def test_a_corpus_that_does_not_exist_is_rejected_in_a_sentence(s3: str) -> None:
    for arguments in (("report", f"{s3}/none"), ("inspect", f"{s3}/none"), ("scenes", f"{s3}/none", "--out", "unused")):
        done = run(*arguments)
        assert done.returncode == 2 and f"{s3}/none is not a corpus" in done.stderr
        assert "Traceback" not in done.stderr
