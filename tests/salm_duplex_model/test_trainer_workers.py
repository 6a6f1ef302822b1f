"""A job divided between two processes of Ray Train learns the same as one process."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from material import SMALL_RUN

from salm_duplex_model.checkpoint import load_run, read_config, read_log
from salm_duplex_model.trainer import train


@pytest.fixture(scope="module")
def runs(talk, tmp_path_factory):
    """The run folders of one process and of two workers; both print the same kind of table."""
    folder = tmp_path_factory.mktemp("workers")
    preset = folder / "small.yaml"
    model = SMALL_RUN["model"] | {"user_text": True}
    optimizer = SMALL_RUN["optimizer"] | {"encoder_steps": 5}
    changed = {"model": model, "loss": {"auxiliary_weight": 1}, "optimizer": optimizer, "keep_checkpoints": 3}
    preset.write_text(yaml.safe_dump(SMALL_RUN | changed))
    for workers in ("1", "2"):
        command = [sys.executable, "-m", "pipeline.cli", "train", "--corpus", str(talk.url), "--preset", str(preset)]
        command += ["--out", str(folder / workers), "--workers", workers]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert "12 steps" in result.stdout and "unigram baseline" in result.stdout
    return folder / "1", folder / "2"


def test_two_workers_reach_the_losses_of_one_process(runs):
    alone, shared = map(read_log, runs)
    assert len(shared) == len(alone)
    _assert_same_losses(shared, alone)


def test_two_workers_reach_the_weights_of_one_process(runs):
    alone, shared = (load_run(folder)[0].state_dict() for folder in runs)
    assert all(torch.allclose(shared[name], alone[name], atol=2e-3) for name in alone)


def test_a_run_of_two_workers_resumes_in_one_process_with_the_same_losses(runs, talk, tmp_path):
    alone, shared = runs
    shutil.copytree(shared, tmp_path / "run")
    for step in (8, 12):  # the rest was saved while only the encoder was trained
        shutil.rmtree(tmp_path / f"run/checkpoints/{step:08d}")
    train([talk.url], tmp_path / "run", read_config(shared))
    rows = read_log(tmp_path / "run")
    assert [row["step"] for row in rows] == list(range(1, 13))
    _assert_same_losses(rows, read_log(alone))


def _assert_same_losses(rows, others):
    for name in ("loss", "text", "codes", "user_text", "auxiliary_speech", "gradient_norm"):
        own, other = ([row.get(name, np.nan) for row in some] for some in (rows, others))
        assert np.isfinite(own[5:]).all()
        np.testing.assert_allclose(own, other, rtol=2e-4)
