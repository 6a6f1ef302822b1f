"""The streaming session gives what the offline pass gives, in any batch, and forgets without growing."""

import copy

import pytest
import torch

from salm_duplex_model.channels import SPEECH_EOS
from salm_duplex_model.codec import Codec
from salm_duplex_model.config import LlamaConfig, ModelConfig
from salm_duplex_model.data import collate
from salm_duplex_model.generate import greedy
from salm_duplex_model.model import build_model
from salm_duplex_model.session import Session

FRAME = 1_280


@pytest.fixture(scope="module")
def model():
    config = ModelConfig(llm=LlamaConfig(hidden_size=64, layers=2, heads=2, intermediate_size=128))
    model, tokenizer = build_model(config, seed=5)
    return model.eval(), tokenizer


def play(session: Session, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    text, codes, agent = [], [], []
    for t in range(audio.shape[1] // FRAME):
        agent.append(session.step(audio[:, t * FRAME : (t + 1) * FRAME]))
        text.append(session.text)
        codes.append(session.codes)
    return torch.stack(text, 1), torch.stack(codes, 1), torch.cat(agent, 1)


def test_streaming_equals_offline(model, talk):
    net, tokenizer = model
    batch = collate(list(talk.cuts("train")), tokenizer)
    text, codes, agent = play(Session(net, Codec.bundled(), batch=4), batch.audio)
    decoded = greedy(net, batch.audio)
    assert torch.equal(text[:, :-1], decoded.text[:, 1:])
    assert torch.equal(codes, decoded.codes)
    assert len(torch.unique(codes)) > 10
    assert agent.shape == (4, codes.shape[1] * 1_764)


def test_marks_are_played_as_silence(model, talk):
    net, tokenizer = model
    batch = collate(list(talk.cuts("train"))[:1], tokenizer)
    ending = copy.deepcopy(net)
    with torch.no_grad():
        ending.code_head.bias.view(4, -1)[:, SPEECH_EOS] += 1_000  # speech EOS for ever
    _, codes, agent = play(Session(ending, Codec.bundled()), batch.audio[:, : 10 * FRAME])
    assert (codes == SPEECH_EOS).all()
    assert agent.abs().max() < 1e-3


def test_one_conversation_does_not_hear_the_other(model, talk):
    net, tokenizer = model
    batch = collate(list(talk.cuts("train"))[:2], tokenizer)
    together = play(Session(net, Codec.bundled(), batch=2), batch.audio)
    alone = play(Session(net, Codec.bundled()), batch.audio[:1])
    assert torch.equal(together[0][:1], alone[0])
    assert torch.equal(together[1][:1], alone[1])


def test_memory_stays_the_same_however_long_it_lasts(model):
    net, _ = model
    session = Session(net, Codec.bundled(), context_frames=40)
    sizes = []
    for _ in range(200):
        audio = session.step(0.05 * torch.randn(1, FRAME))
        sizes.append(session._cache.get_seq_length())
    assert max(sizes) <= 45
    assert torch.isfinite(audio).all()


def test_within_the_window_nothing_is_lost(model, talk):
    net, tokenizer = model
    audio = collate(list(talk.cuts("train"))[:1], tokenizer).audio[:, : 60 * FRAME]
    short, long = (play(Session(net, Codec.bundled(), context_frames=n), audio) for n in (64, 2_048))
    assert torch.equal(short[1], long[1])


def test_sampling_is_repeatable_and_differs_from_greedy(model):
    net, _ = model
    audio = 0.05 * torch.randn(1, 20 * FRAME)
    one, again, other = (
        play(Session(net, Codec.bundled(), temperature=1.0, seed=seed), audio)[1] for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_step_takes_one_frame(model):
    net, _ = model
    with pytest.raises(ValueError, match=r"user must be \(1, 1280\)"):
        Session(net, Codec.bundled()).step(torch.zeros(1, 1_000))
