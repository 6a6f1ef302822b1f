"""Exports resume, reject foreign folders, and count what they can't carry; to folders and URLs alike."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from command_material import run_inside
from s3_material import copy_into

from manifests.corpus import Corpus, open_corpus
from manifests.errors import RequestError, WorkError
from manifests.store import Store
from pipeline.export.moshi import Moshi
from pipeline.export.run import export


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: content for name, (content, _) in files(folder).items()}


class Stops(Moshi):
    """Stopped in the middle, as by a signal."""

    def write(self, dialogues, shard, out, written) -> None:
        for _ in range(4):
            super().write(iter([next(dialogues)]), shard, out, written)
        raise KeyboardInterrupt


def test_a_stopped_export_resumes_without_rewriting_complete_files(small_corpus: Corpus, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    result = export(small_corpus, Moshi(), Store(whole))
    with pytest.raises(KeyboardInterrupt):
        export(small_corpus, Stops(), Store(stopped))
    before = files(stopped)
    assert not (stopped / "export.json").exists() and sum(name.endswith(".wav") for name in before) == 4
    (stopped / "train" / "000000" / ".d9.wav.0123456789ab.part").write_bytes(b"RIFF")  # what a kill leaves
    assert export(small_corpus, Moshi(), Store(stopped))["lost"] == result["lost"]
    after = files(stopped)
    kept = [name for name in before if name.startswith("train/")]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    del after["train/000000/.d9.wav.0123456789ab.part"]
    theirs = contents(whole) | {"export.json": contents(stopped)["export.json"]}  # which names its own place
    assert {name: content for name, (content, _) in after.items()} == theirs


def test_a_finished_export_is_not_repeated(small_corpus: Corpus, tmp_path: Path) -> None:
    first = export(small_corpus, Moshi(), Store(tmp_path / "out"))
    before = files(tmp_path / "out")
    assert export(small_corpus, Moshi(), Store(tmp_path / "out")) == first
    assert files(tmp_path / "out") == before


def test_contents_that_cannot_be_exported_are_counted(small_corpus: Corpus, tmp_path: Path) -> None:
    lost = export(small_corpus, Moshi(), Store(tmp_path / "out"))["lost"]
    cuts = list(small_corpus.cuts("train"))
    turns = [s for cut in cuts for s in cut.supervisions]
    assert lost["codec frames"] == sum(round(cut.duration * 12.5) for cut in cuts)
    assert lost["event labels"] == sum(s.custom["event"] != "turn" for s in turns) > 0
    assert lost["cut-offs"] == sum(s.custom["cut_off"] for s in turns) > 0
    assert lost["voice names"] == lost["texts as written"] == len(turns)
    assert "words" not in lost and "system prompts" not in lost


def test_a_folder_with_other_contents_is_rejected(small_corpus: Corpus, empty_corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RequestError, match="is not an export"):
        export(small_corpus, Moshi(), Store(tmp_path / "mine"))
    export(small_corpus, Moshi(), Store(tmp_path / "other"))
    with pytest.raises(RequestError, match="another export"):
        export(empty_corpus, Moshi(), Store(tmp_path / "other"))
    with pytest.raises(RequestError, match="has no dialogues"):
        export(empty_corpus, Moshi(), Store(tmp_path / "new"))


@pytest.mark.parametrize("field", ["recording", "cuts"])
def test_a_damaged_shard_is_named(small_corpus: Corpus, tmp_path: Path, field: str) -> None:
    copy_into(Store(tmp_path / "corpus"), Path(small_corpus.url))
    (damaged,) = (tmp_path / "corpus" / "train").glob(f"{field}.*")
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    with pytest.raises(WorkError, match=damaged.name.replace(".", r"\.")):
        export(open_corpus(tmp_path / "corpus"), Moshi(), Store(tmp_path / "out"))
    assert not (tmp_path / "out" / "export.json").exists()


def test_from_a_url_to_a_url(small_corpus: Corpus, s3: str, tmp_path: Path) -> None:
    copy_into(Store(f"{s3}/corpus"), Path(small_corpus.url))
    export(open_corpus(f"{s3}/corpus"), Moshi(), Store(f"{s3}/out"))
    export(small_corpus, Moshi(), Store(tmp_path / "out"))
    there, here = Store(f"{s3}/out"), contents(tmp_path / "out")
    assert there.find() == sorted(here)
    assert all(there.read(name) == content for name, content in here.items() if name != "export.json")


def test_the_command_prints_what_it_wrote_and_what_is_lost(small_corpus: Corpus, tmp_path: Path) -> None:
    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return run_inside("export", small_corpus.url, "--out", tmp_path / "out", *more)

    said = run("--to", "moshi")
    assert said.returncode == 0, said.stderr
    assert "10 dialogues" in said.stdout and f"data.train_data: {tmp_path}/out/train.jsonl" in said.stdout
    assert "Not exported: codec frames" in said.stdout.splitlines()[-1]
    assert json.loads(run("--to", "moshi", "--json").stdout)["dialogues"] == 10
    wrong = run("--to", "cassette")
    assert wrong.returncode == 2 and "moshi" in wrong.stderr and "Traceback" not in wrong.stderr
