"""NeMo's encoder gives the same frame by frame as for the whole recording, and never hears past the frame."""

from pathlib import Path

import pytest
import torch
from nemo_material import make_asr
from pydantic import ValidationError

from manifests.errors import RequestError
from salm_duplex_model.config import NemoEncoderConfig
from salm_duplex_model.nemo_encoder import NemoEncoder

FRAME = 1_280
CONTEXTS = ((70, 0), (70, 1), (8, 3))


@pytest.fixture(scope="module")
def asr(tmp_path_factory) -> Path:
    return make_asr(tmp_path_factory.mktemp("nemo") / "asr.nemo")


@pytest.fixture(scope="module", params=CONTEXTS, ids=str)
def encoder(request, asr) -> NemoEncoder:
    return make(asr, request.param)


def make(asr: Path, context: tuple[int, int] | None, adapter_layers: int = 1) -> NemoEncoder:
    torch.manual_seed(7)
    config = NemoEncoderConfig(
        name=str(asr), context=context, adapter_layers=adapter_layers, adapter_width=64, adapter_heads=4
    )
    return NemoEncoder(config, 48).eval()


def noise(rows: int, frames: int, seed: int = 0) -> torch.Tensor:
    """Noise of changing level, so that all frames differ."""
    generator = torch.Generator().manual_seed(seed)
    loudness = torch.rand(rows, frames, generator=generator).repeat_interleave(FRAME, dim=1)
    return 0.3 * loudness**3 * torch.randn(rows, frames * FRAME, generator=generator)


@torch.inference_mode()
def stream(encoder: NemoEncoder, audio: torch.Tensor) -> torch.Tensor:
    state, vectors = encoder.initial_state(len(audio)), []
    for frame in audio.split(FRAME, dim=1):
        vector, state = encoder(frame, state)
        assert all(len(part) == len(audio) for part in state)
        vectors.append(vector)
    return torch.cat(vectors, dim=1)


@torch.inference_mode()
def test_frame_by_frame_equals_offline(encoder):
    audio = noise(3, 101)  # longer than the attention's context
    whole, _ = encoder(audio)
    assert whole.shape == (3, 101, 48)
    assert whole.std(dim=1).mean() > 0.05, "vectors that are all alike would show nothing"
    torch.testing.assert_close(stream(encoder, audio), whole, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_a_vector_hears_nothing_after_its_frame(encoder):
    audio = noise(1, 20)
    vectors, _ = encoder(audio)
    for frame in range(9, 13):  # every position in a chunk
        changed = audio.clone()
        changed[:, (frame + 1) * FRAME :] = noise(1, 19 - frame, seed=1)
        torch.testing.assert_close(encoder(changed)[0][:, : frame + 1], vectors[:, : frame + 1])
    changed[:, 2 * FRAME : 3 * FRAME] += 0.1
    assert not torch.allclose(encoder(changed)[0][:, 5], vectors[:, 5], atol=1e-3)


@torch.inference_mode()
def test_padding_of_a_batch_changes_nothing(encoder):
    audio, frames = noise(3, 31), torch.tensor([31, 18, 25])
    together, _ = encoder(audio, frames=frames)
    for row, length in enumerate(frames.tolist()):
        alone, _ = encoder(audio[row : row + 1, : length * FRAME])
        torch.testing.assert_close(together[row, :length], alone[0], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_rows_of_any_age_stream_together(encoder):
    """A row joins at every position in the others' chunks, and each hears the same as it would alone."""
    audio, joins = noise(4, 30), (0, 3, 5, 10)
    state, heard = encoder.initial_state(0), [[], [], [], []]
    for t in range(30):
        rows = [row for row, join in enumerate(joins) if join <= t]
        if t in joins:
            state = [torch.cat(pair) for pair in zip(state, encoder.initial_state(1), strict=True)]
        frame = torch.stack([audio[row, (t - joins[row]) * FRAME : (t - joins[row] + 1) * FRAME] for row in rows])
        vectors, state = encoder(frame, state)
        for row, vector in zip(rows, vectors, strict=True):
            heard[row].append(vector)
    for row, join in enumerate(joins):
        alone, _ = encoder(audio[row : row + 1, : (30 - join) * FRAME])
        torch.testing.assert_close(torch.cat(heard[row]), alone[0], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_the_checkpoints_own_context_and_no_adapter(asr):
    encoder, audio = make(asr, None, adapter_layers=0), noise(1, 12)
    assert encoder.late == 200  # the checkpoint looks ahead by one frame
    assert make(asr, (70, 0)).late == 0
    torch.testing.assert_close(stream(encoder, audio), encoder(audio)[0], atol=1e-4, rtol=1e-4)


def test_an_encoder_that_cannot_stream_is_rejected(tmp_path):
    for name, changes, reason in (
        ("norm", {"preprocessor.normalize": "per_feature"}, "its spectrum is normalized over the recording"),
        ("down", {"encoder.causal_downsampling": False}, "its downsampling is not causal"),
        ("conv", {"encoder.conv_context_size": None}, "its convolutions are not causal"),
        ("past", {"encoder.att_context_size": [-1, 0]}, "its attention has unlimited left context"),
        ("layers", {"encoder.att_context_style": "regular"}, "its attention looks ahead in every layer"),
    ):
        path = make_asr(tmp_path / f"{name}.nemo", changes)
        with pytest.raises(RequestError, match=reason):
            make(path, None)


def test_a_context_that_is_not_whole_chunks_is_rejected():
    with pytest.raises(ValidationError, match="past must be a multiple"):
        NemoEncoderConfig(name="x", context=(70, 3))
