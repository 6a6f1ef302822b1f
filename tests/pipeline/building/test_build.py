"""Whole builds on Ray: their content, reproducibility, and resuming after being killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from build_without_ray import without_ray
from corpus_material import rows_of
from material import openai

from manifests.corpus import open_corpus
from manifests.errors import RequestError
from manifests.progress import silent
from manifests.store import Store
from pipeline.building.driver import build
from pipeline.building.finish import read_done
from pipeline.building.plan import make_plan
from pipeline.recipe import load_recipe

BUNDLED = Path(__file__).parents[3] / "pipeline" / "data" / "dialogues.jsonl"
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
    """Every file's bytes, except the run log, which contains clock times."""
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
        time.sleep(chance.uniform(0, 0.5) if wanted else 3)  # not into its last step
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / "corpus.json").exists(), "the build was over before it could be killed"
    before = {path.name: path.stat().st_mtime_ns for path in finished(out)}
    result = subprocess.run(build_arguments(out, "--workers", "2"), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert tree(out) == tree(corpus)
    *killed, last = json.loads((out / "corpus.json").read_text())["run_log"]
    assert last["how"] == "finished" and last["shards_found"] >= len(before) > 0
    assert killed and not any("how" in run for run in killed)  # nobody waits for a killed run


def finished(out: Path) -> list[Path]:
    store = out / ".build" / "done"
    return [path for path in store.iterdir() if not path.name.startswith(".")] if store.is_dir() else []


def test_a_second_build_to_the_same_folder_is_rejected_and_the_first_one_finishes(corpus, tmp_path):
    out = tmp_path / "twice"
    first = subprocess.Popen(build_arguments(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (out / ".build" / "lease.json").exists():
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.05)
    second = subprocess.run(build_arguments(out), capture_output=True, text=True)
    assert second.returncode == 2
    assert f"is already being built by process {first.pid}" in second.stderr
    assert first.wait() == 0
    assert tree(out) == tree(corpus)


def test_another_seed_gives_another_corpus(corpus, tmp_path):
    with without_ray():
        build([str(BUNDLED)], tmp_path / "seed", load_recipe(None, [*OVERRIDES, "seed=1"]), limit=LIMIT)
    mine, theirs = tree(tmp_path / "seed"), tree(corpus)
    assert mine["train/recording.000000.tar"] != theirs["train/recording.000000.tar"]
    assert mine["manifest/dialogues.parquet"] != theirs["manifest/dialogues.parquet"]


def test_a_finished_corpus_is_unchanged(corpus):
    before = {p: p.stat().st_mtime_ns for p in corpus.rglob("*")}
    result = subprocess.run(build_arguments(corpus, "--json"), check=True, capture_output=True, text=True)
    assert json.loads(result.stdout)["dialogues_read"] == LIMIT
    assert {p: p.stat().st_mtime_ns for p in corpus.rglob("*")} == before


def test_another_recipe_on_the_same_output_is_rejected_and_named(corpus):
    with pytest.raises(RequestError, match=r"contains another build .*recipe\.schedule\.agent_gap_s"):
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


def run_with(stage: str, tmp_path: Path, write_jsonl, ids: list[str], *more: str) -> subprocess.CompletedProcess:
    path = write_jsonl(*(openai(id, f"Question {id}?", f"Answer {id}.") for id in ids))
    use = ("--set", f"render.use=failing_stage:{stage}")
    own = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    arguments = command("build", path, "--out", tmp_path / "c", *use, *more)
    return subprocess.run(arguments, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": own})


def test_a_stage_that_always_raises_ends_the_build_and_is_named(tmp_path, write_jsonl):
    result = run_with("FailingRender", tmp_path, write_jsonl, ["d0", "d1", "d2", "d3"])
    assert result.returncode == 1
    assert "4 of 4 dialogues were lost to a stage that raised or hung" in result.stderr
    assert "The stage 'render' raised RuntimeError: the room is on fire" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "c" / "corpus.json").exists()
    assert "the room is on fire" in (tmp_path / "c" / ".build" / "error.log").read_text()


def test_few_dialogues_on_which_a_stage_raises_or_hangs_are_rejected_by_name_and_the_rest_is_built(
    tmp_path, write_jsonl
):
    ids = [*(f"d{i}" for i in range(10)), "raise", "hang"]
    limits = ("--set", "max_failed=0.2", "--set", "render.resources.timeout_s=3", "--set", "pack.shard_size=6")
    result = run_with("PickyRender", tmp_path, write_jsonl, ids, *limits, "--workers", "2")
    assert result.returncode == 0, result.stderr
    corpus = open_corpus(tmp_path / "c")
    rejected = {row["id"]: row for row in rows_of(corpus.rejected)}
    assert {(id, row["stage"], row["reason"]) for id, row in rejected.items()} == {
        ("raise", "render", "stage_failed"),
        ("hang", "render", "stage_failed"),
    }
    assert "the room is on fire" in rejected["raise"]["traceback"]
    assert rejected["hang"]["message"] == "The stage 'render' did not finish within 3 s."
    assert set(corpus.dialogues.read("id")["id"]) == {f"d{i}" for i in range(10)}
    # Two failed attempts find the dialogue, one after another dialogue of its shard has raised, and the last attempt does the rest.
    assert [number in (2, 3) for number in corpus.info["run_log"][-1]["begun_more_than_once"].values()] == [True]


def test_more_lost_dialogues_than_the_recipe_allows_end_the_build_and_a_fixed_stage_resumes_it(tmp_path, write_jsonl):
    ids = [*(f"d{i}" for i in range(10)), "raise"]
    refused = run_with("PickyRender", tmp_path, write_jsonl, ids, "--set", "pack.shard_size=4")
    assert refused.returncode == 1
    assert "1 of 11 dialogues were lost to a stage that raised or hung" in refused.stderr
    assert "the first is raise: The stage 'render' raised RuntimeError" in refused.stderr
    allowed = run_with(
        "PickyRender", tmp_path, write_jsonl, ids, "--set", "pack.shard_size=4", "--set", "max_failed=0.1"
    )
    assert allowed.returncode == 0, allowed.stderr
    info = open_corpus(tmp_path / "c").info
    assert info["run_log"][-1]["shards_built"] == 1 < info["run_log"][-1]["shards_found"]
    assert info["statistics"]["rejected_by_reason"] == {"render/stage_failed": 1}


def test_a_set_up_that_raises_is_reported_of_as_one(tmp_path, write_jsonl):
    result = run_with("UnpreparedRender", tmp_path, write_jsonl, ["a"])
    assert result.returncode == 1
    assert "The stage 'render' failed" in result.stderr
    assert "setup failed: OSError: the room is locked" in result.stderr
    assert "memory" not in result.stderr and "Traceback" not in result.stderr


def test_a_stage_that_takes_its_process_down_ends_the_build(tmp_path, write_jsonl):
    result = run_with("CrashingRender", tmp_path, write_jsonl, ["a"])
    assert result.returncode == 1
    assert "A worker process was killed or crashed" in result.stderr
    assert "Traceback" not in result.stderr


def test_user_files_named_like_our_packages_change_nothing(tmp_path, write_jsonl):
    path = write_jsonl(openai("a"), openai("b", "Another question?", "Another answer."))
    for name in ("pipeline", "stages", "manifests"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('this is not salm-duplex')\n")
    (tmp_path / "own_stage.py").write_text("from stages.render import Render\n\n\nclass Own(Render):\n    pass\n")
    installed = f"import sys; sys.path.insert(0, {str(BUNDLED.parents[2])!r}); from pipeline.cli import main; main()"
    arguments = ["build", str(path), "--out", "c", "--set", "render.use=own_stage:Own"]
    result = subprocess.run([sys.executable, "-c", installed, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert open_corpus(tmp_path / "c").info["statistics"]["dialogues_read"] == 2


def test_an_output_with_other_files_is_rejected(tmp_path, write_jsonl):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.txt").write_text("precious")
    with pytest.raises(RequestError, match="contains files that are not a corpus"):
        build([str(write_jsonl(openai("a")))], tmp_path / "c", load_recipe())
    assert (tmp_path / "c" / "thesis.txt").read_text() == "precious"


def test_a_finished_shard_that_vanishes_is_an_error_with_a_fix(tmp_path, write_jsonl):
    """Finished shards are looked up when the corpus is assembled, not remembered."""
    recipe = load_recipe()
    store = Store(tmp_path / "c")
    plan = make_plan([str(write_jsonl(openai("a")))], recipe, None, store, silent, lambda: None)
    with pytest.raises(FileNotFoundError):
        read_done(store, plan)
