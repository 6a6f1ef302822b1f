"""Training as a user runs it: losses, resume after a kill, overfitting, and rejected requests."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
import torch
import yaml
from command_material import run_inside
from material import SMALL_RUN
from nemo_material import make_asr, make_llm
from safetensors.torch import load_file

from manifests.corpus import open_corpus
from manifests.errors import RequestError
from salm_duplex_model.batch import collate
from salm_duplex_model.checkpoint import load_run, read_config, read_log, slim
from salm_duplex_model.codec import Codec
from salm_duplex_model.config import LlamaConfig, LossConfig, OptimizerConfig, RunConfig, TokenWeights
from salm_duplex_model.evaluation.play import play
from salm_duplex_model.generate import greedy
from salm_duplex_model.model import build_model
from salm_duplex_model.session import Session
from salm_duplex_model.stream import codec_of
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer
from salm_duplex_model.trainer import learning_rate, train
from salm_duplex_model.validation import validate


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pipeline.cli", "train", *map(str, arguments)]


def run(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def trained(talk, tmp_path_factory):
    """A short run, not interrupted, and its preset."""
    folder = tmp_path_factory.mktemp("trained")
    preset = folder / "small.yaml"
    preset.write_text(yaml.safe_dump(SMALL_RUN))
    result = run("--corpus", talk.url, "--out", folder / "run", "--preset", preset, "--json")
    assert result.returncode == 0, result.stderr
    return folder / "run", preset, json.loads(result.stdout)


def test_losses_fall_and_are_logged(trained):
    folder, _, result = trained
    rows = read_log(folder)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert rows[-1]["loss"] == pytest.approx(3 * rows[-1]["text"] + 4 * rows[-1]["codes"], rel=1e-5)
    assert rows[-1]["validation_text"] == result["validation_text"]
    assert result["unigram_codes"] > 0
    assert (folder / "loss.png").stat().st_size > 5_000
    assert list((folder / "tensorboard").iterdir())
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == ["00000008", "00000012"]


def test_killed_and_resumed_the_curve_is_the_same(trained, talk, tmp_path):
    folder, preset, _ = trained
    arguments = ("--corpus", talk.url, "--out", tmp_path / "run", "--preset", preset)
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(read_log(tmp_path / "run")) < 6:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(read_log(tmp_path / "run"))
    assert 6 <= before < 12, "the run was over before it could be killed"
    assert run(*arguments).returncode == 0
    assert read_log(tmp_path / "run") == read_log(folder)
    done, there = (path / "checkpoints/00000012/model.safetensors" for path in (tmp_path / "run", folder))
    assert done.read_bytes() == there.read_bytes()


def test_validation_weighs_all_labels_equally_regardless_of_training_weights(trained, talk):
    folder, *_ = trained
    model, tokenizer = load_run(folder)
    config, batches = read_config(folder), [collate(list(talk.cuts("train")), tokenizer)]
    weighted = config.model_copy(update={"loss": LossConfig(token_weight=TokenWeights(bos=9, pad=0))})
    cpu = torch.device("cpu")
    assert validate(model, batches, weighted, cpu) == validate(model, batches, config, cpu)


def test_converse_answers_a_recording(trained, talk, tmp_path):
    folder, _, _ = trained
    cut = next(iter(talk.cuts("train")))
    soundfile.write(tmp_path / "user.wav", cut.load_audio()[0], 16_000)
    converse = [sys.executable, "-m", "pipeline.cli", "converse", str(folder), "--out", str(tmp_path / "both.wav")]
    result = subprocess.run(
        [*converse, "--user", tmp_path / "user.wav", "--stereo", "--tail", "1.6", "--json"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    both, rate = soundfile.read(tmp_path / "both.wav")
    frames = round(cut.duration / 0.08) + 20
    assert rate == 22_050 and both.shape == (frames * 1_764, 2)
    assert json.loads(result.stdout)["seconds"] == pytest.approx(frames * 0.08)
    missing = subprocess.run([*converse, "--user", tmp_path / "no.wav"], capture_output=True, text=True)
    assert f"There is no recording {tmp_path / 'no.wav'};" in refused(missing, 2)


def test_a_slim_run_answers_as_the_whole_one_in_half_the_space(trained, talk, tmp_path):
    folder, *_ = trained
    weights = slim(folder, tmp_path / "slim")
    whole = folder / "checkpoints/00000012/model.safetensors"
    assert weights.stat().st_size < 0.52 * whole.stat().st_size
    assert {p.name for p in (tmp_path / "slim").iterdir()} == {"config.yaml", "llm", "checkpoints"}
    batch = collate(list(talk.cuts("train")), TextTokenizer.load(BUNDLED))
    (one, _), (other, _) = load_run(folder), load_run(tmp_path / "slim")
    for a, b in zip(one.logits(batch), other.logits(batch), strict=True):
        assert torch.allclose(a, b, atol=0.02)
    with pytest.raises(RequestError, match="exists; name a new folder"):
        slim(folder, tmp_path / "slim")
    with pytest.raises(RequestError, match="not a training run"):
        slim(tmp_path, tmp_path / "other")


def test_one_table_of_codes_is_trained_stored_once_and_resumed(talk, tmp_path):
    config = RunConfig.model_validate(SMALL_RUN)
    train([talk.url], tmp_path / "run", config)
    model, _ = load_run(tmp_path / "run")
    assert model.code_head.weight is model.code_embedding.weight
    assert "code_head.weight" not in load_file(tmp_path / "run/checkpoints/00000012/model.safetensors")
    shutil.rmtree(tmp_path / "run/checkpoints/00000012")
    train([talk.url], tmp_path / "run", config)
    assert torch.equal(load_run(tmp_path / "run")[0].code_head.weight, model.code_head.weight)


def test_with_the_users_text_a_run_resumes_exactly_and_its_model_writes_down_the_user(talk, tmp_path):
    config = RunConfig.model_validate(SMALL_RUN | {"model": SMALL_RUN["model"] | {"user_text": True}})
    found = train([talk.url], tmp_path / "run", config)
    rows = read_log(tmp_path / "run")
    assert rows[-1]["user_text"] < 0.7 * rows[0]["user_text"]
    assert rows[-1]["loss"] == pytest.approx(
        sum(3 * rows[-1][n] for n in ("text", "user_text")) + 4 * rows[-1]["codes"]
    )
    assert found["validation_user_text"] > 0 and found["unigram_user_text"] > 0
    model, _ = load_run(tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/00000012")
    train([talk.url], tmp_path / "run", config)
    again, _ = load_run(tmp_path / "run")
    assert read_log(tmp_path / "run") == rows
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    one = next(play(model, Codec.bundled(), list(talk.cuts("train"))[:1]))
    assert one.user_tokens.shape == one.tokens.shape
    with pytest.raises(RequestError, match=r"another model\.user_text"):
        train([talk.url], tmp_path / "run", RunConfig.model_validate(SMALL_RUN))


def test_with_every_switch_a_run_resumes_exactly_and_its_agent_has_no_auxiliary_heads(talk, tmp_path):
    settings = {
        **SMALL_RUN,
        "loss": {"auxiliary_weight": 2, "token_weight": {"pad": 0.3, "bos": 5}},
        "data": {**SMALL_RUN["data"], "augment": {"level_db": [-9, 3], "noise_share": 0.5}},
        "optimizer": {**SMALL_RUN["optimizer"], "encoder_steps": 5},
        "keep_checkpoints": 3,
    }
    config = RunConfig.model_validate(settings)
    train([talk.url], tmp_path / "run", config)
    rows, names = read_log(tmp_path / "run"), ("speaking", "speech", "projection")
    first, last = ([row[f"auxiliary_{name}"] for name in names] for row in (rows[0], rows[-1]))
    assert all(now < 0.9 * before for now, before in zip(last, first, strict=True))
    assert rows[-1]["loss"] == pytest.approx(3 * rows[-1]["text"] + 4 * rows[-1]["codes"] + 2 * sum(last), rel=1e-5)
    assert rows[-1]["validation_auxiliary_speech"] > 0
    assert rows[0]["loss"] == pytest.approx(2 * sum(first), rel=1e-5)
    assert ["text" in row for row in rows] == [row["step"] > 5 for row in rows]  # before, the LLM does not run
    new, warm = (
        build_model(config.model)[0].state_dict(),
        load_file(tmp_path / "run/checkpoints/00000004/model.safetensors"),
    )
    changed = {
        name for name, tensor in warm.items() if name in new and not torch.allclose(tensor, new[name], rtol=1e-3)
    }
    assert changed and all(name.startswith("encoder.") for name in changed)
    place = tmp_path / "run/checkpoints/00000012"
    weights = (place / "model.safetensors").read_bytes()
    for step in (8, 12):
        shutil.rmtree(tmp_path / f"run/checkpoints/{step:08d}")
    train([talk.url], tmp_path / "run", config)
    assert read_log(tmp_path / "run") == rows
    assert (place / "model.safetensors").read_bytes() == weights
    assert "auxiliary.linear.weight" in load_file(place / "model.safetensors")
    assert load_run(tmp_path / "run")[0].auxiliary is None
    assert not any("auxiliary" in name for name in load_file(slim(tmp_path / "run", tmp_path / "slim")))
    assert load_run(tmp_path / "slim")[0].auxiliary is None


def test_pre_trained_parts_mixed_corpora_and_lora_train_together(talk, tmp_path):
    """The parts of the preset `tinyllama`, in small: a NeMo encoder from its file, a Hugging Face LLM from its folder."""
    make_asr(tmp_path / "asr.nemo")
    settings = SMALL_RUN | {
        "model": {
            "encoder": {"kind": "nemo", "name": str(tmp_path / "asr.nemo"), "adapter_layers": 1, "adapter_width": 64},
            "llm": str(make_llm(tmp_path / "llm")),
            "lora": {"rank": 4},
            "freeze": ["perception.encoder.pre_encode"],
            "activation_checkpointing": True,
        },
        "data": {"batch_seconds": 30, "buckets": 2, "accumulate": 2, "weights": [3, 1]},
        "precision": "bf16",
    }
    preset = tmp_path / "large.yaml"
    preset.write_text(yaml.safe_dump(settings))
    shutil.copytree(talk.url, tmp_path / "other")
    both = ("--corpus", talk.url, "--corpus", tmp_path / "other")
    result = run(*both, "--out", tmp_path / "run", "--preset", preset)
    assert result.returncode == 0, result.stderr
    rows = read_log(tmp_path / "run")
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
    shutil.rmtree(tmp_path / "llm")  # the run has its own copy of the LLM's shape and tokenizer
    model, tokenizer = load_run(tmp_path / "run")
    batch = collate(list(talk.cuts("train"))[:1], tokenizer)
    decoded, session = greedy(model, batch.audio), Session(model, Codec.bundled())
    assert decoded.codes.shape == (1, int(batch.frames[0]), 4)
    streamed = [(session.think(frame), session.codes, session.text) for frame in batch.audio.split(1_280, dim=1)]
    assert torch.equal(torch.stack([codes for _, codes, _ in streamed], dim=1), decoded.codes)
    assert torch.equal(torch.stack([text for _, _, text in streamed[:-1]], dim=1), decoded.text[:, 1:])
    config = RunConfig.model_validate(settings).model.model_copy(update={"llm": LlamaConfig(hidden_size=64, heads=2)})
    before = build_model(config)[0].encoder.state_dict()
    name = "perception.encoder.pre_encode.out.weight"
    assert torch.equal(model.encoder.state_dict()[name], before[name])
    layers = "perception.encoder.layers.0.norm_out.weight"
    assert not torch.equal(model.encoder.state_dict()[layers], before[layers])


def test_overfits_until_greedy_decoding_gives_the_corpus_back(talk, tmp_path):
    """Text and codes of four dialogues, decoded from the user's audio alone."""
    settings = {
        "model": {
            "encoder": {"kind": "causal", "mels": 40, "channels": 64, "hop_blocks": 1, "width": 128, "frame_blocks": 2},
            "llm": {"hidden_size": 128, "layers": 3, "heads": 4, "intermediate_size": 256},
        },
        "data": {"batch_seconds": 80, "buckets": 1},
        "optimizer": {"steps": 260, "learning_rate": 0.004, "warmup_steps": 20, "weight_decay": 0},
        "validate_every": 260,
        "checkpoint_every": 260,
    }
    preset = tmp_path / "overfit.yaml"
    preset.write_text(yaml.safe_dump(settings))
    result = run("--corpus", talk.url, "--out", tmp_path / "run", "--preset", preset)
    assert result.returncode == 0, result.stderr
    model, tokenizer = load_run(tmp_path / "run")
    hits = {"text": [], "codes": []}
    for cut in talk.cuts("train"):
        batch = collate([cut], tokenizer)
        decoded, channels = greedy(model, batch.audio), model.channels(batch)
        speaking = torch.zeros(len(batch.text[0]) - 1, dtype=torch.bool)
        for s in cut.supervisions:
            if s.speaker == "agent":
                speaking[round(s.start / 0.08) : round(s.end / 0.08)] = True
        hits["text"].append((decoded.text[0, 1:] == channels.text_labels[0])[speaking].float())
        hits["codes"].append((decoded.codes[0, :-1] == channels.code_labels[0])[speaking].float().mean(-1))
    for channel, values in hits.items():
        assert torch.cat(values).mean() >= 0.95, channel


def test_schedules():
    cosine = OptimizerConfig(steps=100, learning_rate=1.0, warmup_steps=10, final_share=0.1)
    assert learning_rate(0, cosine) == pytest.approx(0.1)
    assert learning_rate(9, cosine) == learning_rate(10, cosine) == 1.0
    assert learning_rate(100, cosine) == pytest.approx(0.1)
    root = cosine.model_copy(update={"schedule": "inverse_sqrt"})
    assert learning_rate(9, root) == 1.0
    assert learning_rate(39, root) == pytest.approx(0.5)


def test_the_dry_run_prints_its_estimate(talk, preset):
    result = run("--corpus", talk.url, "--out", "unused", "--preset", preset, "--dry-run", "--json")
    assert result.returncode == 0, result.stderr
    needs = json.loads(result.stdout)
    assert set(needs["parameters"]) == {"encoder", "llm", "code_embedding", "code_head"}
    assert needs["bytes_needed"] > 0 and needs["step_seconds"] > 0
    assert not Path("unused").exists()


# Rejected requests: one sentence, exit code 1 or 2, no traceback.


def train_inside(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_inside("train", *arguments)


def refused(result: subprocess.CompletedProcess[str], code: int) -> str:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("damage", ["truncated", "bytes"])
def test_a_damaged_shard_is_named(talk, preset, tmp_path, damage):
    shutil.copytree(talk.url, tmp_path / "corpus")
    shard = tmp_path / "corpus" / "train" / "target_codes.000000.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 5] if damage == "truncated" else os.urandom(len(content)))
    said = refused(train_inside("--corpus", tmp_path / "corpus", "--out", tmp_path / "run", "--preset", preset), 1)
    assert str(shard) in said and "damaged" in said and "copy it again" in said


def test_a_corpus_with_another_format_version_is_rejected(talk, preset, tmp_path):
    shutil.copytree(talk.url, tmp_path / "corpus")
    info = json.loads((tmp_path / "corpus" / "corpus.json").read_text())
    (tmp_path / "corpus" / "corpus.json").write_text(json.dumps(info | {"format_version": 99}))
    said = refused(train_inside("--corpus", tmp_path / "corpus", "--out", tmp_path / "run", "--preset", preset), 2)
    assert "format version 99" in said


def test_a_run_keeps_its_corpora_s_codec_and_two_codecs_are_not_mixed(trained, talk, preset, tmp_path):
    folder, _, _ = trained
    assert read_config(folder).codec == codec_of([talk]) == "bundled"
    for name in ("one", "other"):
        shutil.copytree(talk.url, tmp_path / name)
        info = json.loads((tmp_path / name / "corpus.json").read_text())
        info["made_by"] = {"tokenize": [{"codec": f"nvidia/{name}", "codec_sha256": name}]}
        (tmp_path / name / "corpus.json").write_text(json.dumps(info))
    assert codec_of([open_corpus(tmp_path / "one")]) == "nvidia/one"
    both = ("--corpus", tmp_path / "one", "--corpus", tmp_path / "other")
    said = refused(train_inside(*both, "--out", tmp_path / "run", "--preset", preset), 2)
    assert "are from the codec nvidia/other, those of" in said and not (tmp_path / "run").exists()


def test_a_run_of_another_preset_is_rejected_and_named(trained, talk):
    folder, _, _ = trained
    said = refused(train_inside("--corpus", talk.url, "--out", folder, "--preset", "tiny"), 2)
    assert "is a run with another data.batch_seconds" in said


def test_resuming_with_another_corpus_is_rejected(trained, talk, tmp_path):
    folder, preset, _ = trained
    shutil.copytree(folder, tmp_path / "run")
    shutil.copytree(talk.url, tmp_path / "corpus")
    info = json.loads((tmp_path / "corpus" / "corpus.json").read_text())
    info["identity"]["inputs"] = {"1:other.jsonl": "1" * 64}
    (tmp_path / "corpus" / "corpus.json").write_text(json.dumps(info))
    said = refused(train_inside("--corpus", tmp_path / "corpus", "--out", tmp_path / "run", "--preset", preset), 2)
    assert "trained on other corpora" in said


def test_a_checkpoint_of_other_sizes_is_rejected(trained, talk, tmp_path):
    folder, preset, _ = trained
    shutil.copytree(folder, tmp_path / "run")
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    config["model"]["llm"]["hidden_size"] = 32
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    result = train_inside(
        "--corpus", talk.url, "--out", tmp_path / "run", "--preset", preset, "--set", "model.llm.hidden_size=32"
    )
    assert "from a model with other sizes" in refused(result, 2)


def test_a_damaged_checkpoint_is_named(trained, talk, tmp_path):
    folder, preset, _ = trained
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "00000012" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1_000])
    said = refused(train_inside("--corpus", talk.url, "--out", tmp_path / "run", "--preset", preset), 2)
    assert str(path) in said and "damaged" in said


def test_damaged_moments_are_named(trained, talk, tmp_path):
    folder, *_ = trained
    shutil.copytree(folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/00000012")
    place = tmp_path / "run/checkpoints/00000008/optimizer"
    for file in place.iterdir():
        file.write_bytes(file.read_bytes()[:1_000])
    with pytest.raises(RequestError, match=f"{place} is damaged"):
        train([talk.url], tmp_path / "run", read_config(folder))


def test_too_little_memory_is_reported_before_any_work(talk, preset, tmp_path):
    more = ("--set", "data.batch_seconds=1e9")
    said = refused(train_inside("--corpus", talk.url, "--out", tmp_path / "run", "--preset", preset, *more), 2)
    assert "GiB" in said and "data.batch_seconds" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "huge"], "no preset 'huge'; the presets are small, tiny, tinyllama"),
        (["--set", "optimizer.step=3"], "no key 'optimizer.step'"),
        (["--set", "model.llm=nowhere/model"], "nowhere/model can't be loaded"),
        (["--set", "optimizer.learning_rate=-1"], "optimizer.learning_rate is wrong"),
        (["--set", "optimizer.encoder_steps=9"], "set 'loss.auxiliary_weight' too"),
    ],
)
def test_wrong_requests_are_rejected(talk, tmp_path, arguments, said):
    assert said in refused(train_inside("--corpus", talk.url, "--out", tmp_path / "run", *arguments), 2)
    assert not (tmp_path / "run").exists()
