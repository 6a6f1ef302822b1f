"""The example of the guide "Write a stage", run as the guide says."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from material import openai

from examples.phone import Phone, PhoneSettings
from manifests.corpus import open_corpus
from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.pcm import to_int16
from manifests.record_files import RecordWriter, read_record_files
from manifests.records import Rejected
from pipeline.building.single import run_stage
from pipeline.recipe import load_recipe

ROOT = Path(__file__).parents[2]
RECIPE = "examples/phone.yaml"


def phone(**settings) -> Phone:
    stage = Phone(PhoneSettings(**settings), 0)
    stage.setup()
    return stage


def share_above(samples: np.ndarray, rate: int, hz: float) -> float:
    power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    return float(power[np.fft.rfftfreq(len(samples), 1 / rate) > hz].sum() / power.sum())


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True)


def with_tone(record, hz: float):
    time = np.arange(len(record.user)) / SOURCE_RATE
    return replace(record, user=to_int16(0.5 * np.sin(2 * np.pi * hz * time)))


@pytest.mark.parametrize(
    ("band", "hz", "passes"),
    [
        ("narrow", 100, False),
        ("narrow", 1_000, True),
        ("narrow", 5_000, False),
        ("wide", 100, True),
        ("wide", 5_000, True),
    ],
)
def test_a_tone_in_the_band_passes_and_another_does_not(rendered, band, hz, passes):
    tone = with_tone(rendered[0], hz)
    (called,) = phone(band=band, max_loss_db=200).process([tone])
    kept = np.std(called.user.astype(float)) / np.std(tone.user.astype(float))
    assert (0.85 < kept < 1.05) if passes else kept < 0.05
    assert called.agent is tone.agent and len(called.user) == len(tone.user)


def test_a_share_of_the_users_call_the_same_ones_in_any_batch(rendered):
    together = phone(share=0.5).process(rendered)
    alone = [phone(share=0.5).process([record])[0] for record in rendered]
    called = [not np.array_equal(a.user, b.user) for a, b in zip(together, rendered, strict=True)]
    assert called == [record.dialogue.labels["telephone"] for record in together]
    assert 0 < sum(called) < len(rendered)
    assert all(np.array_equal(a.user, b.user) for a, b in zip(together, alone, strict=True))


def test_a_voice_lost_on_the_telephone_is_rejected(rendered):
    kept, lost = phone().process([rendered[0], with_tone(rendered[1], 60)])
    assert not isinstance(kept, Rejected)
    assert (lost.id, lost.stage, lost.reason) == (rendered[1].dialogue.id, "phone", "lost_in_band")
    assert lost.message.endswith("over the 15 of phone.max_loss_db.")


def test_it_runs_alone_on_the_output_of_render(tmp_path, rendered, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "render").mkdir()
    with RecordWriter(tmp_path / "render") as writer:
        for record in rendered[:2]:
            writer.write(record)
    counts = run_stage("phone", str(tmp_path / "render"), str(tmp_path / "phone"), load_recipe(Path(RECIPE)))
    assert counts == {"kept": 2, "rejected": 0}
    for record in read_record_files(tmp_path / "phone"):
        assert share_above(record.user, SOURCE_RATE, 4_000) < 0.001


def test_three_recipe_lines_put_it_into_a_build(tmp_path, write_jsonl):
    path = write_jsonl(*(openai(f"d{i}", f"How far is house {i}?", f"It is {i} minutes from here.") for i in range(4)))
    done = command("build", path, "--out", tmp_path / "corpus", "--recipe", RECIPE, "--workers", "1")
    assert done.returncode == 0, done.stderr
    corpus = open_corpus(tmp_path / "corpus")
    recipe = corpus.info["identity"]["recipe"]
    assert recipe["stages"].index("phone") == recipe["stages"].index("render") + 1
    assert recipe["phone"] == {"use": "examples.phone:Phone", "band": "narrow", "share": 1.0, "max_loss_db": 15.0}
    cuts = [cut for split in corpus.splits for cut in corpus.cuts(split)]
    assert len(cuts) == 4
    assert corpus.info["statistics"]["labels"] == {"telephone": {"dialogues": 4, "values": {"true": 4}}}
    for cut in cuts:
        assert cut.custom["labels"] == {"telephone": True}
        assert share_above(cut.load_audio()[0], SOURCE_RATE, 4_000) < 0.001
        assert share_above(cut.load_target_audio()[0], TARGET_RATE, 4_000) > 0.001


def refusal(path: Path, out: Path, changes: Sequence[str]) -> str:
    result = command("build", path, "--out", out, "--recipe", RECIPE, *(p for c in changes for p in ("--set", c)))
    assert result.returncode == 2 and not out.exists()
    said = " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in said
    return said


def test_a_list_in_the_wrong_order_is_rejected_before_any_work(tmp_path, write_jsonl):
    order = "stages=[speak, cast, synthesize, phone, schedule, render, verify, tokenize]"
    said = refusal(write_jsonl(openai("a")), tmp_path / "corpus", [order])
    assert (
        "The recipe's stages are in the wrong order: 'phone' takes DuplexDialogue records, but 'synthesize' before it gives "
        "SpokenDialogue."
    ) in said


def test_a_class_that_is_not_a_stage_is_rejected_before_any_work(tmp_path, write_jsonl):
    said = refusal(write_jsonl(openai("a")), tmp_path / "corpus", ["phone.use=json:JSONDecoder"])
    assert (
        "The recipe's phone.use names 'json:JSONDecoder', which is not a Stage; see docs/write_a_stage.md and examples/phone.py."
    ) in said


def test_a_printed_recipe_with_an_inserted_stage_is_the_same_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    recipe = load_recipe(Path(RECIPE))
    (tmp_path / "printed.yaml").write_text(yaml.safe_dump(recipe.as_dict()))
    assert load_recipe(tmp_path / "printed.yaml").id == recipe.id != load_recipe().id
