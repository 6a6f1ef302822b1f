"""The bundled codec: geometry, causality, streaming, silence, intelligibility, and checkpoints that are rejected."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.codec import speak
from salm_duplex_model.codec import Codec
from salm_duplex_model.codec.codec import BUNDLED, BUNDLED_BY_NAME
from salm_duplex_model.codec.fsq import FiniteScalarQuantizer
from salm_duplex_model.codec.nemo import load_codec
from salm_duplex_model.codec.score import heldout_sentences, score_voice
from salm_duplex_model.codec.train import CodecTrainSettings, train_codec
from stages.voices.espeak_engine import DEFAULT_AGENT_VOICE, Espeak, voices

FRAME = 1_764
LEVELS = (9, 8, 8, 7)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.bundled()


@pytest.fixture(scope="module")
def speech() -> Tensor:
    """(2, 24 frames) of the agent's voice."""
    samples, _ = Espeak().speak("The quick brown fox jumps over the lazy dog, again and again.", DEFAULT_AGENT_VOICE)
    return torch.from_numpy(samples[: 48 * FRAME].reshape(2, -1) / np.float32(32768))


def test_geometry(codec: Codec, speech: Tensor) -> None:
    codes = codec.encode(speech)
    assert (codec.sample_rate, codec.frame_samples, codec.codebooks) == (22_050, FRAME, 4)
    assert codes.shape == (2, 24, 4)
    assert codes.dtype == torch.int16
    assert codes.min() >= 0
    assert codes.max() < 4_032
    audio = codec.decode(codes)
    assert audio.shape == speech.shape
    assert audio.dtype == torch.float32
    assert audio.abs().max() <= 1


def test_every_codebook_is_used(codec: Codec, speech: Tensor) -> None:
    codes = codec.encode(speech).flatten(0, 1)
    assert all(len(set(column.tolist())) > 40 for column in codes.T)


def test_audio_must_be_whole_frames(codec: Codec) -> None:
    with pytest.raises(ValueError, match="multiple of 1764"):
        codec.encode(torch.zeros(1, FRAME + 1))


@pytest.mark.parametrize("codes", [torch.zeros(1, 2, 3), torch.zeros(2, 4), torch.full((1, 2, 4), 4_032)])
def test_codes_must_be_codes(codec: Codec, codes: Tensor) -> None:
    with pytest.raises(ValueError, match="codes must be"):
        codec.decode(codes)


def test_code_is_the_mixed_radix_number_of_its_levels() -> None:
    quantizer = FiniteScalarQuantizer(1, LEVELS)
    # The extremes of each dimension are the lowest and the highest level.
    latent = torch.tensor(
        [[[-9.0, -9, -9, -9], [9, -9, -9, -9], [-9, 9, -9, -9], [-9, -9, 9, -9], [-9, -9, -9, 9], [9, 9, 9, 9]]]
    )
    assert quantizer.encode(latent).flatten().tolist() == [0, 8, 7 * 9, 7 * 9 * 8, 6 * 9 * 8 * 8, 4_031]


def test_quantizer_decodes_what_it_encoded() -> None:
    quantizer = FiniteScalarQuantizer(4, LEVELS)
    latent = torch.randn(3, 50, 16, generator=torch.Generator().manual_seed(0)) * 2
    assert torch.equal(quantizer.decode(quantizer.encode(latent)), quantizer(latent))
    every = torch.arange(4_032)[None, :, None].expand(1, -1, 4)
    assert len(torch.unique(quantizer.decode(every)[0, :, :4], dim=0)) == 4_032


def test_streaming_equals_batch_decoding(codec: Codec, speech: Tensor) -> None:
    codes = codec.encode(speech)
    stream = codec.stream(batch=2)
    steps = [stream.decode(codes[:, [frame]]) for frame in range(codes.shape[1])]
    assert all(step.shape == (2, FRAME) for step in steps)
    assert torch.allclose(torch.cat(steps, dim=1), codec.decode(codes), rtol=0, atol=1e-5)


def test_decoder_is_causal(codec: Codec, speech: Tensor) -> None:
    codes = codec.encode(speech)
    changed = codes.clone()
    changed[:, 12:] = (changed[:, 12:] + 1_234) % 4_032
    before, after = codec.decode(codes), codec.decode(changed)
    assert torch.allclose(before[:, : 12 * FRAME], after[:, : 12 * FRAME], rtol=0, atol=1e-5)
    # The change is audible at once, in its own frame.
    assert (before - after)[:, 12 * FRAME : 13 * FRAME].abs().max() > 0.01


def test_silence_stays_silent(codec: Codec, speech: Tensor) -> None:
    silence = torch.zeros(1, 10 * FRAME)
    assert codec.decode(codec.encode(silence)).abs().max() < 1e-3  # −60 dBFS
    between = torch.cat([silence, speech[:1], silence], dim=1)
    decoded = codec.decode(codec.encode(between))
    assert decoded[:, : 9 * FRAME].abs().max() < 1e-3
    assert decoded[:, -8 * FRAME :].abs().max() < 1e-3
    assert decoded[:, 10 * FRAME : -10 * FRAME].abs().max() > 0.1


def test_speech_is_intelligible(codec: Codec) -> None:
    row = score_voice(codec, str(DEFAULT_AGENT_VOICE), heldout_sentences()[:5], speak)
    assert row["n"] == 5
    assert row["stoi"] >= 0.94
    assert 1 < row["pesq"] < 4.7
    assert row["mel_distance"] < 0.25
    assert codec.bits_per_second == 600


def test_heldout_sentences_are_fifty_and_differ() -> None:
    assert len(set(heldout_sentences())) == 50


def test_checkpoint_round_trip(codec: Codec, speech: Tensor, tmp_path: Path) -> None:
    codec.save(tmp_path / "codec.safetensors")
    assert (tmp_path / "codec.safetensors").read_bytes() == BUNDLED.read_bytes()
    again = Codec.load(tmp_path / "codec.safetensors")
    assert again.sha256 == codec.sha256
    assert torch.equal(again.encode(speech), codec.encode(speech))
    assert [path.name for path in tmp_path.iterdir()] == ["codec.safetensors"]


def test_hibaris_checkpoint_is_small_and_trained_on_given_speech() -> None:
    path = BUNDLED_BY_NAME["bundled-hibari"]
    assert path.stat().st_size < 10_000_000
    codec = load_codec("bundled-hibari")
    assert codec.sha256 == Codec.load(path).sha256 != Codec.bundled().sha256
    assert codec.training["agent_voice"].startswith("given: ")
    assert codec.training["steps"] == codec.training["of_steps"]


def test_bundled_checkpoint_is_small_and_of_the_default_agent(codec: Codec) -> None:
    assert BUNDLED.stat().st_size < 10_000_000
    assert codec.training["agent_voice"] == CodecTrainSettings().agent_voice == str(DEFAULT_AGENT_VOICE)
    assert codec.training["steps"] == codec.training["of_steps"] == CodecTrainSettings().steps


@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "text", "foreign", "other format", "missing tensor", "other shape"]
)
def test_bad_checkpoint_is_rejected_by_name(codec: Codec, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.safetensors"
    tensors = load_file(BUNDLED)
    header = {"format": 1, "config": {}, "training": {}}
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(BUNDLED.read_bytes()[:1_000_000])
        case "text":
            path.write_text("not a checkpoint at all")
        case "foreign":
            save_file(tensors, path)
        case "other format":
            save_file(tensors, path, metadata={"salm_duplex_codec": json.dumps(header | {"format": 99})})
        case "missing tensor":
            tensors.popitem()
            save_file(tensors, path, metadata={"salm_duplex_codec": json.dumps(header)})
        case "other shape":
            config = {"decoder_hop_channels": 8}
            save_file(tensors, path, metadata={"salm_duplex_codec": json.dumps(header | {"config": config})})
    with pytest.raises(ValueError, match=r"bad\.safetensors' is not a codec checkpoint.*codec train"):
        Codec.load(path)


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Codec.load(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize(("setting", "value"), [("steps", 0), ("user_share", 1.5), ("agent_hours", 0.0)])
def test_invalid_settings(setting: str, value: float | str) -> None:
    with pytest.raises(ValueError, match=r"above 0|between 0 and 1|longer than"):
        CodecTrainSettings(**{setting: value})


def test_state_of_another_run_is_rejected(tmp_path: Path) -> None:
    settings = CodecTrainSettings(agent_hours=0.001, user_hours=0.001, steps=1, batch=1, crop_frames=2)
    train_codec([], tmp_path / "codec.safetensors", settings, speak, voices()[:3])
    with pytest.raises(ValueError, match=r"codec\.state' is from a run with other settings"):
        train_codec([], tmp_path / "codec.safetensors", replace(settings, seed=1), speak, voices()[:3])
    (tmp_path / "codec.state").write_bytes(b"PK damaged")
    with pytest.raises(ValueError, match=r"codec\.state' is damaged; remove it"):
        train_codec([], tmp_path / "codec.safetensors", settings, speak, voices()[:3])


def test_training_resumes_where_it_was_stopped(tmp_path: Path) -> None:
    settings = CodecTrainSettings(
        agent_hours=0.01, user_hours=0.01, steps=4, batch=2, crop_frames=4, checkpoint_every=2
    )
    whole = train_codec(["Hello there."], tmp_path / "whole.safetensors", settings, speak, voices()[:3])
    seen: list[tuple[int, str]] = []

    def end_midway(done: int, total: int, message: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_codec(
            ["Hello there."], tmp_path / "ended.safetensors", settings, speak, voices()[:3], progress=end_midway
        )
    assert Codec.load(tmp_path / "ended.safetensors").training["steps"] == 2
    resumed = train_codec(
        ["Hello there."],
        tmp_path / "ended.safetensors",
        settings,
        speak,
        voices()[:3],
        lambda done, total, message: seen.append((done, message)),
    )
    assert (2, "resumed") in seen
    assert resumed.sha256 == whole.sha256


def test_the_agents_speech_may_be_given(tmp_path: Path) -> None:
    settings = CodecTrainSettings(agent_hours=0.001, user_hours=0.001, steps=1, batch=1, crop_frames=2)
    speech = [speak(text, "en-us+f3") for text in ("Hello there.", "Nice to meet you.", "How are you today?")]
    out = tmp_path / "codec.safetensors"
    given = train_codec([], out, settings, speak, voices()[:3], speech=speech)
    assert given.training["agent_voice"].startswith("given: ")
    other = train_codec([], tmp_path / "other.safetensors", settings, speak, voices()[:3])
    assert given.sha256 != other.sha256
    with pytest.raises(ValueError, match="or other speech; remove it"):
        train_codec([], out, settings, speak, voices()[:3], speech=speech[:2])
    with pytest.raises(ValueError, match="too little to train on"):
        train_codec([], tmp_path / "short.safetensors", settings, speak, voices()[:3], speech=[speech[0][:1000]])
