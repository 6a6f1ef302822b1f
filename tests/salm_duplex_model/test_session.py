"""The streaming session gives the same as the offline pass, in any batch, in constant memory."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from nemo_material import make_asr

from salm_duplex_model.batch import collate
from salm_duplex_model.channels import SPEECH_EOS
from salm_duplex_model.codec import Codec
from salm_duplex_model.config import LlamaConfig, ModelConfig, NemoEncoderConfig
from salm_duplex_model.generate import greedy
from salm_duplex_model.model import build_model
from salm_duplex_model.session import Decoding, Session, sample
from salm_duplex_model.turn_taking import TurnTaking
from salm_duplex_model.window_cache import WindowCache

FRAME = 1_280


LLM = LlamaConfig(hidden_size=64, layers=2, heads=2, intermediate_size=128)
SUMS = Decoding(turn_taking=TurnTaking(start=0.004, stop=0.004))
"""Thresholds for random weights: a mark has a chance of one in a thousand."""


@pytest.fixture(scope="module")
def model():
    model, tokenizer = build_model(ModelConfig(llm=LLM), seed=5)
    return model.eval(), tokenizer


@pytest.fixture(scope="module", params=["causal", "nemo"])
def either(request, model, tmp_path_factory):
    """The model with each kind of encoder; NeMo's looks ahead by one frame, so its chunks have two frames."""
    if request.param == "causal":
        return model
    asr = make_asr(tmp_path_factory.mktemp("nemo") / "asr.nemo")
    encoder = NemoEncoderConfig(name=str(asr), context=(70, 1), adapter_layers=1, adapter_width=64, adapter_heads=4)
    made, tokenizer = build_model(ModelConfig(encoder=encoder, llm=LLM), seed=5)
    return made.eval(), tokenizer


@pytest.fixture(scope="module")
def listener():
    """A model with the user's text channel, whose random weights make tokens likely and unlikely by turns."""
    net, tokenizer = build_model(ModelConfig(llm=LLM, user_text=True), seed=5)
    torch.nn.init.normal_(net.user_head.weight, std=0.2, generator=torch.Generator().manual_seed(1))
    return net.eval(), tokenizer


def play(session: Session, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    text, codes, agent = [], [], []
    for t in range(audio.shape[1] // FRAME):
        agent.append(session.step(audio[:, t * FRAME : (t + 1) * FRAME]))
        text.append(session.text)
        codes.append(session.codes)
    return torch.stack(text, 1), torch.stack(codes, 1), torch.cat(agent, 1)


def test_streaming_equals_offline(either, talk):
    net, tokenizer = either
    batch = collate(list(talk.cuts("train")), tokenizer)
    text, codes, agent = play(Session(net, Codec.bundled(), batch=4), batch.audio)
    decoded = greedy(net, batch.audio)
    assert torch.equal(text[:, :-1], decoded.text[:, 1:])
    assert torch.equal(codes, decoded.codes)
    assert len(torch.unique(codes)) > 10
    assert agent.shape == (4, codes.shape[1] * 1_764)


def test_streaming_equals_offline_with_summed_probabilities(either, talk):
    net, tokenizer = either
    batch = collate(list(talk.cuts("train")), tokenizer)
    text, codes, _ = play(Session(net, Codec.bundled(), batch=4, decoding=SUMS), batch.audio)
    decoded = greedy(net, batch.audio, SUMS.turn_taking)
    assert torch.equal(text[:, :-1], decoded.text[:, 1:])
    assert torch.equal(codes, decoded.codes)
    for row in text:
        marks = [int(token) for token in row if token in (net.special.bos, net.special.eos)]
        assert marks[0] == net.special.bos and len(marks) > 4
        assert (net.special.eos, net.special.eos) not in pairwise(marks)


def test_streaming_equals_offline_where_the_users_words_are_written_down_and_read_back(listener, talk):
    net, tokenizer = listener
    batch = collate(list(talk.cuts("train")), tokenizer)
    session, written = Session(net, Codec.bundled(), batch=4), []
    for frame in batch.audio[:, : 60 * FRAME].split(FRAME, 1):
        session.think(frame)
        written.append(session.user_text)
    streamed, decoded = torch.stack(written, 1), greedy(net, batch.audio[:, : 60 * FRAME])
    assert torch.equal(streamed[:, :-1], decoded.user_text[:, 1:])
    assert torch.equal(session.text, greedy(net, batch.audio[:, : 61 * FRAME]).text[:, -1])
    assert len(torch.unique(streamed)) > 10
    # Read back, it changes the agent's output.
    net.user_embedding.requires_grad_(False).weight.neg_()
    assert not torch.equal(greedy(net, batch.audio[:, : 60 * FRAME]).codes, decoded.codes)
    net.user_embedding.weight.neg_()


def test_who_joins_begins_with_nothing_written_down(listener, talk):
    net, tokenizer = listener
    audio = collate(list(talk.cuts("train")), tokenizer).audio[:, : 30 * FRAME]
    session = Session(net, Codec.bundled())
    play(session, audio[:1])
    session.join()
    session.leave(0)
    assert session.user_text.tolist() == [net.special.pad]
    fresh = Session(net, Codec.bundled())
    for frame in audio[1:2].split(FRAME, 1):
        assert torch.equal(session.think(frame), fresh.think(frame))
        assert torch.equal(session.user_text, fresh.user_text)


def test_marks_are_played_as_silence(model, talk):
    net, tokenizer = model
    batch = collate(list(talk.cuts("train"))[:1], tokenizer)
    ending = copy.deepcopy(net)
    with torch.no_grad():
        ending.code_head.bias.view(4, -1)[:, SPEECH_EOS] += 1_000  # speech EOS forever
    _, codes, agent = play(Session(ending, Codec.bundled()), batch.audio[:, : 10 * FRAME])
    assert (codes == SPEECH_EOS).all()
    assert agent.abs().max() < 1e-3


def test_one_conversation_does_not_hear_the_other(either, talk):
    net, tokenizer = either
    batch = collate(list(talk.cuts("train"))[:2], tokenizer)
    together = play(Session(net, Codec.bundled(), batch=2), batch.audio)
    alone = play(Session(net, Codec.bundled()), batch.audio[:1])
    assert torch.equal(together[0][:1], alone[0])
    assert torch.equal(together[1][:1], alone[1])


@pytest.mark.parametrize("decoding", [Decoding(), SUMS])
def test_a_reset_row_equals_a_fresh_one_and_the_others_continue(either, talk, decoding):
    net, tokenizer = either
    audio = collate(list(talk.cuts("train")), tokenizer).audio[:, : 60 * FRAME]
    session = Session(net, Codec.bundled(), batch=3, decoding=decoding)
    before = play(session, audio[:3, : 25 * FRAME])
    session.reset(1)
    after = play(session, torch.stack([audio[0, 25 * FRAME :], audio[3, : 35 * FRAME], audio[2, 25 * FRAME :]]))
    fresh = play(Session(net, Codec.bundled(), decoding=decoding), audio[3:, : 35 * FRAME])
    undisturbed = play(Session(net, Codec.bundled(), batch=3, decoding=decoding), audio[:3])
    for channel in range(2):
        assert torch.equal(after[channel][1:2], fresh[channel])
        for row in (0, 2):
            whole = torch.cat([before[channel][row], after[channel][row]])
            assert torch.equal(whole, undisturbed[channel][row])
    assert torch.allclose(after[2][1:2], fresh[2], atol=1e-4)
    assert not torch.equal(fresh[1][0, :25], undisturbed[1][1, :25])


@pytest.mark.parametrize("decoding", [Decoding(), SUMS])
def test_rows_join_and_leave_while_others_continue(either, talk, monkeypatch, decoding):
    monkeypatch.setattr("salm_duplex_model.window_cache.FIRST_SIZE", 8)  # buffers grow with rows of several ages
    net, tokenizer = either
    audio = collate(list(talk.cuts("train")), tokenizer).audio[:, : 60 * FRAME]
    session = Session(net, Codec.bundled(), batch=0, context_frames=50, decoding=decoding)
    assert session.join() == 0
    first = play(session, audio[:1, : 20 * FRAME])
    assert session.join() == 1
    both = play(session, torch.stack([audio[0, 20 * FRAME : 30 * FRAME], audio[1, : 10 * FRAME]]))
    session.leave(0)
    last = play(session, audio[1:2, 10 * FRAME :])
    for row, parts in ((0, (first[1][0], both[1][0])), (1, (both[1][1], last[1][0]))):
        single = Session(net, Codec.bundled(), context_frames=50, decoding=decoding)
        alone = play(single, audio[row : row + 1])
        assert torch.equal(torch.cat(parts), alone[1][0][: sum(map(len, parts))])
    session.leave(0)
    assert len(session.text) == 0


def test_memory_is_constant_over_any_duration(model):
    net, _ = model
    session = Session(net, Codec.bundled(), context_frames=40)
    places = set()
    for _ in range(200):
        audio = session.step(0.05 * torch.randn(1, FRAME))
        places.add(
            tuple((x.data_ptr(), x.shape) for layer in session._cache.layers for x in (layer.keys, layer.values))
        )
    assert len(places) == 1
    assert all(shape[2] == 40 for _, shape in places.pop())
    assert torch.isfinite(audio).all()


def test_exactly_the_window_is_seen(monkeypatch):
    """With one layer, the state of a frame equals that of the last frames alone; with rows of any age, and growing
    buffers."""
    monkeypatch.setattr("salm_duplex_model.window_cache.FIRST_SIZE", 4)
    shape = LlamaConfig(hidden_size=32, layers=1, heads=2, intermediate_size=64)
    net, _ = build_model(ModelConfig(llm=shape), seed=6)
    cache, window = WindowCache(10), 10
    vectors = torch.randn(2, 40, 32)
    with torch.inference_mode():
        cache.seat([], 1)
        for t in range(40):
            if t == 7:
                cache.seat([0], 2)
            rows = len(cache.began)
            positions = cache.positions()
            states = net.hidden(vectors[:rows, t : t + 1], cache, positions, cache.mask(positions, torch.float32))
            cache.advance()
            for row in range(rows):
                first = max(int(cache.began[row]), t + 1 - window)
                alone = net.hidden(vectors[row : row + 1, first : t + 1])[:, -1]
                torch.testing.assert_close(states[row], alone, atol=1e-5, rtol=1e-4)
                if t > first:
                    fewer = net.hidden(vectors[row : row + 1, first + 1 : t + 1])[:, -1]
                    assert not torch.allclose(states[row], fewer, atol=1e-5)


def test_within_the_window_nothing_is_lost(model, talk):
    net, tokenizer = model
    audio = collate(list(talk.cuts("train"))[:1], tokenizer).audio[:, : 60 * FRAME]
    short, long = (play(Session(net, Codec.bundled(), context_frames=n), audio) for n in (64, 2_048))
    assert torch.equal(short[1], long[1])


def test_sampling_is_reproducible_regardless_of_other_rows_and_differs_by_seed(model):
    net, _ = model
    audio = 0.05 * torch.randn(3, 20 * FRAME)
    drawn = [
        play(Session(net, Codec.bundled(), batch=len(rows), decoding=Decoding(1.0, 0.8, seed)), rows)
        for seed, rows in ((1, audio), (1, audio[1:2]), (2, audio))
    ]
    for part in (0, 1):
        assert torch.equal(drawn[0][part][1], drawn[1][part][0])
        assert not torch.equal(drawn[0][part], drawn[2][part])


def test_samples_follow_the_softmax():
    logits = torch.tensor([0.0, 1.0, -math.inf, 2.0, -1.0])
    drawn = sample(logits.expand(1, 100_000, 5), [torch.Generator().manual_seed(0)])
    shares = torch.bincount(drawn[0], minlength=5) / 100_000
    assert torch.allclose(shares, logits.softmax(-1), atol=0.005) and shares[2] == 0


def test_text_may_be_greedy_while_codes_are_sampled(model):
    net, _ = model
    audio = 0.05 * torch.randn(1, FRAME)
    greedy = Session(net, Codec.bundled())
    half = Session(net, Codec.bundled(), decoding=Decoding(code_temperature=1.0))
    greedy.step(audio)
    half.step(audio)
    assert torch.equal(greedy.text, half.text) and not torch.equal(greedy.codes, half.codes)


def test_a_step_takes_one_frame(model):
    net, _ = model
    with pytest.raises(ValueError, match=r"user must be \(1, 1280\)"):
        Session(net, Codec.bundled()).step(torch.zeros(1, 1_000))
