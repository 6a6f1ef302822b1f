"""Whole builds on Ray: what they hold, that they are repeatable, and that they survive being killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from corpus_material import rows_of
from material import openai

from manifests.corpus import open_corpus
from manifests.errors import RequestError, WorkError
from pipeline.build import build
from pipeline.recipe import load_recipe

BUNDLED = Path(__file__).parents[2] / "pipeline" / "data" / "dialogues.jsonl"
LIMIT = 14
OVERRIDES = [
    "pack.shard_size=3",
    "ingest.test=0.15",
    "ingest.validation=0.15",
    "synthesize.reference=This is my voice.",
]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]


def build_arguments(out: Path, *more: str) -> list[str]:
    overrides = [part for override in OVERRIDES for part in ("--set", override)]
    return command("build", BUNDLED, "--out", out, "--limit", str(LIMIT), *overrides, *more)


def tree(corpus: Path) -> dict[str, bytes]:
    """Every file's bytes; the run log, which holds clock times, aside."""
    files = {str(p.relative_to(corpus)): p.read_bytes() for p in sorted(corpus.rglob("*")) if p.is_file()}
    info = json.loads(files["corpus.json"])
    del info["run_log"]
    return files | {"corpus.json": json.dumps(info).encode()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("builds") / "one-worker"
    subprocess.run(build_arguments(out, "--workers", "1"), check=True, capture_output=True)
    return out


def test_counts_add_up_and_agree_with_the_shards(corpus):
    opened = open_corpus(corpus)
    statistics = opened.info["statistics"]
    cuts = {split: list(opened.cuts(split)) for split in opened.splits}
    assert sum(statistics["dialogues"].values()) + statistics["rejected"] == statistics["dialogues_read"] == LIMIT
    assert {split: len(cuts.get(split, [])) for split in statistics["dialogues"]} == statistics["dialogues"]
    assert sorted(c.id for own in cuts.values() for c in own) == sorted(opened.dialogues.read("id")["id"])
    barge_ins = sum(s.custom["event"] == "barge_in" for own in cuts.values() for c in own for s in c.supervisions)
    assert barge_ins == statistics["barge_ins"] > 0


def test_codes_decode_to_the_agent_channel(corpus):
    import torch
    from pystoi import stoi

    from manifests.frames import CODEBOOK_SIZE
    from salm_duplex_model.codec import Codec

    codec = Codec.bundled()
    for cut in open_corpus(corpus).cuts("train"):
        codes = cut.load_target_codes()
        assert codes.shape == (round(cut.duration / 0.08), 4)
        assert codes.min() >= 0 and codes.max() < CODEBOOK_SIZE
        agent = cut.load_target_audio()[0]
        decoded = codec.decode(torch.from_numpy(codes)[None])[0].numpy()
        assert len(decoded) == len(agent)
        assert stoi(agent, decoded, codec.sample_rate) > 0.9


def test_each_cut_has_a_reference_of_the_agents_voice(corpus):
    heard = [cut.load_context_audio()[0] for cut in open_corpus(corpus).cuts("train")]
    assert all(np.array_equal(one, heard[0]) for one in heard)  # one agent
    assert 0.5 * 22_050 < len(heard[0]) < 3 * 22_050


def test_splits_share_no_user_voice(corpus):
    rows = rows_of(open_corpus(corpus).dialogues)
    voices = {
        split: {r["user_voice"] for r in rows if r["split"] == split} for split in ("train", "validation", "test")
    }
    assert all(voices.values())
    assert not voices["train"] & voices["test"] and not voices["train"] & voices["validation"]


def test_two_workers_give_the_same_bytes(corpus, tmp_path):
    subprocess.run(build_arguments(tmp_path / "two", "--workers", "2"), check=True, capture_output=True)
    assert tree(tmp_path / "two") == tree(corpus)


def test_a_build_killed_three_times_and_resumed_gives_the_same_bytes(corpus, tmp_path):
    out = tmp_path / "killed"
    chance = random.Random(0)
    for wanted in (0, 1, 3):
        process = subprocess.Popen(
            build_arguments(out, "--workers", "2"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        while process.poll() is None and len(finished(out)) < wanted:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 2) if wanted else 3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / "corpus.json").exists(), "the build was over before it could be killed"
    before = {path.name: path.stat().st_mtime_ns for path in finished(out)}
    subprocess.run(build_arguments(out, "--workers", "2"), check=True, capture_output=True)
    assert tree(out) == tree(corpus)
    log = json.loads((out / "corpus.json").read_text())["run_log"]
    assert log[0]["shards_found"] >= len(before) > 0


def finished(out: Path) -> list[Path]:
    store = out / ".build" / "shards"
    return [path for path in store.iterdir() if not path.name.startswith(".")] if store.is_dir() else []


def test_another_seed_gives_another_corpus(corpus, tmp_path):
    subprocess.run(build_arguments(tmp_path / "seed", "--set", "seed=1"), check=True, capture_output=True)
    mine, theirs = tree(tmp_path / "seed"), tree(corpus)
    assert mine["train/recording.000000.tar"] != theirs["train/recording.000000.tar"]
    assert mine["manifest/dialogues.parquet"] != theirs["manifest/dialogues.parquet"]


def test_a_finished_corpus_is_left_as_it_is(corpus):
    before = {p: p.stat().st_mtime_ns for p in corpus.rglob("*")}
    result = subprocess.run(build_arguments(corpus, "--json"), check=True, capture_output=True, text=True)
    assert json.loads(result.stdout)["dialogues_read"] == LIMIT
    assert {p: p.stat().st_mtime_ns for p in corpus.rglob("*")} == before


def test_another_recipe_on_the_same_output_is_refused_and_named(corpus):
    with pytest.raises(RequestError, match=r"holds another build .*recipe\.schedule\.agent_gap_s"):
        build([str(BUNDLED)], corpus, load_recipe(None, [*OVERRIDES, "schedule.agent_gap_s=1"]), limit=LIMIT)


def test_single_stages_one_after_the_other_give_the_builds_shards(corpus, tmp_path):
    lines = BUNDLED.read_text("utf-8").splitlines()[:LIMIT]
    (tmp_path / "dialogues.jsonl").write_text("\n".join(lines))
    before = tmp_path / "dialogues.jsonl"
    overrides = [part for override in OVERRIDES for part in ("--set", override)]
    for name in ("ingest", "speak", "cast", "synthesize", "schedule", "render"):
        out = tmp_path / name
        subprocess.run(
            command("stage", name, "--in", before, "--out", out, *overrides), check=True, capture_output=True
        )
        before = out
    for name in ("verify", "tokenize", "pack"):
        out = tmp_path / name
        subprocess.run(
            command("stage", name, "--in", before, "--out", out, *overrides), check=True, capture_output=True
        )
        before = out
    for split in ("train", "validation", "test"):
        for field in ("recording", "target_audio"):
            name = f"{split}/{field}.000000.tar"
            assert (before / name).read_bytes() == (corpus / name).read_bytes(), name


def test_a_failing_stage_is_named_and_finished_shards_are_kept(tmp_path, write_jsonl, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    path = write_jsonl(*(openai(f"d{i}", f"Question {i}?", f"Answer {i}.") for i in range(4)))
    failing = command("build", path, "--out", tmp_path / "c", "--set", "render.use=failing_stage:FailingRender")
    result = subprocess.run(failing, capture_output=True, text=True)
    assert result.returncode == 1
    assert "The stage 'render' failed on the shard" in result.stderr
    assert "the room is on fire" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "c" / "corpus.json").exists()


@pytest.mark.parametrize("stage", ["CrashingRender", "LoadedCrashingRender"])
def test_a_stage_that_takes_its_process_down_ends_the_build(stage, tmp_path, write_jsonl, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    path = write_jsonl(openai("a", "Question?", "Answer."))
    crashing = command("build", path, "--out", tmp_path / "c", "--set", f"render.use=failing_stage:{stage}")
    result = subprocess.run(crashing, capture_output=True, text=True)
    assert result.returncode == 1
    assert "A worker process was killed or crashed" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_output_with_other_files_is_refused(tmp_path, write_jsonl):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.txt").write_text("precious")
    with pytest.raises(RequestError, match="holds files that are not a corpus"):
        build([str(write_jsonl(openai("a")))], tmp_path / "c", load_recipe())
    assert (tmp_path / "c" / "thesis.txt").read_text() == "precious"


def test_a_store_that_vanishes_is_an_error_with_a_mend(tmp_path, write_jsonl):
    """The finished shards are checked for when the corpus is put together, not trusted from memory."""
    from pipeline.assemble import assemble
    from pipeline.plan import gather, plan_shards
    from stages.ingest import IngestSettings, ingest

    read = gather(ingest([str(write_jsonl(openai("a")))], IngestSettings(), 0))
    out = tmp_path / "c"
    (out / ".build").mkdir(parents=True)
    with pytest.raises((OSError, WorkError)):
        assemble(out, out / ".build" / "shards", plan_shards(read, 10), read, {}, {}, lambda voice: {})
    shutil.rmtree(out)
