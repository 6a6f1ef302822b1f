"""`tokenize` with a NeMo codec: real `.nemo` files, created and briefly trained by the fixtures, through NeMo's own
classes."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from nemo_material import make_asr, make_codec

from manifests.errors import RequestError
from manifests.record_files import RecordWriter, read_record_files
from pipeline.building.single import run_stage
from pipeline.recipe import load_recipe
from salm_duplex_model.codec.nemo import NemoCodec
from stages.codecs.nemo import NemoTokenizer, NemoTokenizeSettings

FRAME = 1_764


@pytest.fixture(scope="module")
def tokenizer(nemo_codec) -> NemoTokenizer:
    stage = NemoTokenizer(NemoTokenizeSettings(codec=str(nemo_codec)), 0)
    stage.setup()
    return stage


@pytest.fixture(scope="module")
def tokenized(tokenizer, rendered):
    return tokenizer.process(rendered)


def turns(record):
    """(first frame, frames, speech as the codec should encode it) of each agent segment."""
    uncut = iter(record.uncut)
    for segment in record.timeline.segments:
        if segment.speaker == "agent":
            heard = record.agent[segment.start : segment.end]
            first, last = segment.start // FRAME, -(-segment.end // FRAME)
            yield first, last - first, next(uncut) if segment.cut_off else heard


def alone(codec: NemoCodec, speech: np.ndarray) -> torch.Tensor:
    """A single turn with silence around it, (1, samples)."""
    padded = np.pad(speech, (codec.reach * FRAME, -len(speech) % FRAME + codec.reach * FRAME))
    return torch.from_numpy(padded / np.float32(32768))[None]


def test_codes_are_the_same_in_batches_and_one_at_a_time(tokenizer, rendered, tokenized):
    codec, frames = tokenizer.codec, 0
    for before, record in zip(rendered, tokenized, strict=True):
        for first, length, speech in turns(before):
            one = codec.encode(alone(codec, speech))[0, codec.reach :][:length].numpy()
            assert np.array_equal(record.codes[first : first + length], one)
            frames += length
    assert frames > 500
    codes = np.concatenate([record.codes for record in tokenized])
    assert all(len(np.unique(column)) > 20 for column in codes.T), "a codec of one code would show nothing"


def test_codes_are_those_of_nemo_itself(nemo_codec, tokenizer, rendered, tokenized):
    from nemo.collections.tts.models import AudioCodecModel

    model = AudioCodecModel.restore_from(str(nemo_codec), map_location="cpu").eval()
    same = []
    for before, record in zip(rendered, tokenized, strict=True):
        for first, length, speech in turns(before):
            audio = alone(tokenizer.codec, speech)
            with torch.inference_mode():
                codes, _ = model.encode(audio=audio, audio_len=torch.tensor([audio.shape[1]]))
            own = codes[0].T[tokenizer.codec.reach :][:length].numpy()
            same.append((record.codes[first : first + length] == own).mean())
    assert np.mean(same) > 0.999


def test_a_code_on_a_border_is_decided_the_same_way_in_every_batch(tokenizer, rendered, tokenized, monkeypatch):
    """With a wide border, many codes are decided by encoding a turn alone; rounding errors are small, so the codes stay
    the same."""
    monkeypatch.setattr("salm_duplex_model.codec.nemo._BORDER", 0.01)
    for one, other in zip(tokenizer.process(rendered[:2]), tokenized, strict=False):
        assert np.array_equal(one.codes, other.codes)


def test_the_encoder_looks_no_further_than_its_reach(tokenizer):
    codec = tokenizer.codec
    assert 1 <= codec.reach <= 16
    speech = torch.randn(1, 70 * FRAME, generator=torch.Generator().manual_seed(1)) * 0.1
    other = speech.clone()
    other[:, : 20 * FRAME] = other[:, 50 * FRAME :] = 0
    same = (codec.encode(speech) == codec.encode(other)).all(-1)[0]
    assert same[20 + codec.reach : 50 - codec.reach].all() and not same[20:50].all()


def test_silence_between_turns_has_one_code(tokenizer, rendered, tokenized):
    for before, record in zip(rendered, tokenized, strict=True):
        heard = np.zeros(record.timeline.frames, dtype=bool)
        for first, length, _ in turns(before):
            heard[first : first + length] = True
        assert record.codes.shape == (record.timeline.frames, 4) and record.codes.dtype == np.int16
        assert (record.codes[~heard] == tokenizer.silence).all()
        assert (record.codes[heard] != tokenizer.silence).any(axis=1).mean() > 0.9


def test_codes_decode_to_the_agents_speech(tokenizer, rendered, tokenized):
    record = tokenized[0]
    decoded = tokenizer.codec.decode(torch.from_numpy(record.codes)[None])[0].numpy()
    assert decoded.shape == rendered[0].agent.shape and np.abs(decoded).max() <= 1
    loud = [np.sqrt(np.mean(sound.reshape(-1, FRAME) ** 2, axis=1)) for sound in (decoded, rendered[0].agent / 32768)]
    assert np.corrcoef(*loud)[0, 1] > 0.7


def test_a_causal_decoder_streams_the_same_as_it_decodes_at_once(tmp_path):
    codec = NemoCodec.load(str(make_codec(tmp_path / "causal.nemo", causal=True)))
    codes = torch.randint(4_032, (2, 30, 4), generator=torch.Generator().manual_seed(0))
    lead = codec.silence().long().expand(8, 4)
    whole = codec.decode(torch.cat([lead.expand(2, -1, -1), codes], dim=1))[:, 8 * FRAME :]
    stream = codec.stream(1, lead)
    stream.join()
    streamed = [stream.decode(codes[:, frame : frame + 1]) for frame in range(20)]
    assert torch.allclose(torch.cat(streamed, dim=1), whole[:, : 20 * FRAME], atol=1e-5)
    stream.leave(0)
    assert torch.allclose(stream.decode(codes[1:, 20:]), whole[1:, 20 * FRAME :], atol=1e-5)
    stream.reset(0)
    assert torch.allclose(stream.decode(codes[:1, :5]), whole[:1, : 5 * FRAME], atol=1e-5)


def test_a_decoder_that_looks_ahead_cannot_stream(tokenizer):
    assert tokenizer.codec.decoder_reach()[0] > 0
    with pytest.raises(RequestError, match=r"codec\.nemo can't stream: its decoder looks \d+ frames ahead"):
        tokenizer.codec.stream()


def test_the_codec_is_recorded(tokenizer, nemo_codec):
    made_by = tokenizer.made_by()
    assert made_by["codec"] == str(nemo_codec) and len(made_by["codec_sha256"]) == 64 and made_by["device"] == "cpu"


def test_another_codec_is_two_lines_of_the_recipe(tmp_path, nemo_codec, rendered, tokenized):
    """The stage, named in a recipe, on records on disk; everything but the codes is the same as with the bundled codec."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"tokenize:\n  use: stages.codecs.nemo:NemoTokenizer\n  codec: {nemo_codec}\n")
    nemo, bundled = load_recipe(recipe), load_recipe()
    differs = {key for key in bundled.as_dict() if bundled.as_dict()[key] != nemo.as_dict()[key]}
    assert differs == {"tokenize"}
    (tmp_path / "rendered").mkdir()
    with RecordWriter(tmp_path / "rendered") as writer:
        for record in rendered[:2]:
            writer.write(record)
    made = {}
    for name, recipe_ in (("nemo", nemo), ("bundled", bundled)):
        assert run_stage("tokenize", tmp_path / "rendered", tmp_path / name, recipe_)["kept"] == 2
        made[name] = list(read_record_files(tmp_path / name))
    for one, other in zip(made["nemo"], made["bundled"], strict=True):
        assert one.timeline.segments == other.timeline.segments and one.timeline.frames == other.timeline.frames
        assert np.array_equal(one.agent, other.agent) and np.array_equal(one.user, other.user)
        assert one.codes.shape == other.codes.shape and not np.array_equal(one.codes, other.codes)


def refusal(codec: object) -> str:
    with pytest.raises(RequestError) as caught:
        load_recipe(
            overrides=["tokenize.use=stages.codecs.nemo:NemoTokenizer", f"tokenize.codec={json.dumps(str(codec))}"]
        )
    return str(caught.value)


def test_a_codec_that_does_not_exist_is_rejected_with_the_recipe(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.nemo")
    assert "a name on the hub such as nvidia/" in refusal("bundled")
    (tmp_path / "text.nemo").write_text("not a codec")
    assert "not a .nemo file" in refusal(tmp_path / "text.nemo")


def test_a_codec_of_another_geometry_is_rejected_with_the_recipe(tmp_path, nemo_codec):
    path = with_config(tmp_path / "other.nemo", nemo_codec, num_groups=8, num_levels_per_group=[8, 7, 6, 6])
    said = refusal(path)
    assert "8 codebooks of FSQ levels [8, 7, 6, 6]" in said and "a corpus has 4 of [9, 8, 8, 7]" in said


def test_a_loaded_model_of_another_kind_is_rejected(tmp_path):
    asr = make_asr(tmp_path / "asr.nemo")
    with pytest.raises(RequestError, match=r"asr\.nemo has None codebooks"):
        NemoCodec.load(str(asr))


def test_a_hub_codec_that_is_not_available_is_reported():
    with pytest.raises(RequestError, match=r"nobody/no-codec can't be loaded .*name a \.nemo file"):
        NemoCodec.load("nobody/no-codec")


def with_config(path: Path, source: Path, **changes: object) -> Path:
    """A `.nemo` file with other numbers in its quantizer's configuration."""
    with tarfile.open(source) as archive, tarfile.open(path, "w") as copy:
        for member in archive:
            content = archive.extractfile(member).read() if member.isfile() else b""
            if member.name.endswith("model_config.yaml"):
                config = yaml.safe_load(content)
                config["vector_quantizer"] |= changes
                content = yaml.safe_dump(config).encode()
                member.size = len(content)
            copy.addfile(member, io.BytesIO(content))
    return path
