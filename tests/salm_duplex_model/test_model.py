from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from manifests.errors import RequestError
from manifests.text_channel import SpecialTokens
from salm_duplex_model.batch import collate
from salm_duplex_model.channels import SPEECH_BOS, SPEECH_DELAY, SPEECH_EOS, SPEECH_VOCABULARY, arrange
from salm_duplex_model.config import LlamaConfig, LoraConfig, LossConfig, ModelConfig, TokenWeights
from salm_duplex_model.generate import greedy
from salm_duplex_model.model import build_model, parameters_by_part

SMALL = ModelConfig(llm=LlamaConfig(hidden_size=64, layers=2, heads=2, intermediate_size=128))
LISTENING = SMALL.model_copy(update={"user_text": True})
FRAME = 1_280


def test_channels_of_a_hand_made_turn():
    """PAD BOS a EOS PAD, with codes 10 to 14: codes one frame behind, marks in their place, labels one frame ahead."""
    special = SpecialTokens(pad=0, bos=1, eos=2)
    text = torch.tensor([[0, 1, 7, 2, 0]])
    codes = torch.tensor([10, 11, 12, 13, 14])[None, :, None].expand(1, 5, 4)
    channels = arrange(text, codes, torch.tensor([4]), special)
    assert channels.text_inputs.tolist() == [[0, 1, 7, 2]]
    assert channels.text_labels.tolist() == [[1, 7, 2, 0]]
    assert channels.code_inputs[0, :, 0].tolist() == [SPEECH_DELAY, 10, SPEECH_BOS, 12]
    assert channels.code_labels[0, :, 3].tolist() == [10, SPEECH_BOS, 12, SPEECH_EOS]
    assert channels.valid.tolist() == [[True, True, True, False]]


@torch.no_grad()
def test_no_output_depends_on_later_user_audio(talk):
    model, tokenizer = build_model(SMALL)
    batch = collate(list(talk.cuts("train"))[:1], tokenizer)
    t = 30
    changed = batch.audio.clone()
    changed[:, t * FRAME :] = 0.3 * torch.randn_like(changed[:, t * FRAME :])
    before, after = model.eval().logits(batch), model.logits(replace(batch, audio=changed))
    for one, other in zip(before, after, strict=True):
        # The multiplied matrices have the same shape, so earlier frames are bit for bit the same.
        assert torch.equal(one[:, :t], other[:, :t])
        assert not torch.allclose(one[:, t], other[:, t])


@torch.no_grad()
def test_the_users_text_adds_parameters_and_leaves_the_others_unchanged(talk):
    (plain, tokenizer), (more, _) = build_model(SMALL), build_model(LISTENING)
    assert more.state_dict().keys() - plain.state_dict().keys() == {"user_embedding.weight", "user_head.weight"}
    assert all(torch.equal(tensor, more.state_dict()[name]) for name, tensor in plain.state_dict().items())
    batch = collate(list(talk.cuts("train"))[:1], tokenizer, user_delay=1)
    assert plain(batch, LossConfig()).user_text is None
    assert torch.equal(plain(batch, LossConfig()).total, plain(replace(batch, user_text=None), LossConfig()).total)
    with pytest.raises(ValueError, match="the batch has none"):
        more(replace(batch, user_text=None), LossConfig())


def test_the_users_text_has_its_own_loss_and_is_fed_back_without_eos(talk):
    model, tokenizer = build_model(LISTENING, seed=1)
    batch, special = collate(list(talk.cuts("train")), tokenizer, user_delay=1), tokenizer.special
    channels = model.channels(batch)
    assert {special.bos, special.eos} < set(channels.user_labels.flatten().tolist())
    logits = model.user_text_head(model.hidden(model.fuse(model.hear(batch), channels)))
    expected = F.cross_entropy(logits[channels.valid], channels.user_labels[channels.valid], reduction="sum")
    found = model(batch, LossConfig(user_text_weight=2))
    torch.testing.assert_close(found.user_text, expected.detach())
    torch.testing.assert_close(found.total, 3 * found.text + found.codes + 2 * expected)
    without = replace(batch, user_text=batch.user_text.masked_fill(batch.user_text == special.eos, special.pad))
    assert torch.equal(model.logits(without)[0], model.logits(batch)[0])
    silent = replace(batch, user_text=torch.full_like(batch.user_text, special.pad))
    assert not torch.allclose(model.logits(silent)[0], model.logits(batch)[0])
    deaf, deaf_to_silence = (replace(b, unheard=torch.ones_like(b.text, dtype=torch.bool)) for b in (batch, silent))
    assert torch.equal(model.logits(deaf)[0], model.logits(deaf_to_silence)[0])
    by_token = torch.full((tokenizer.size,), 0.5)
    by_token[[special.pad, special.bos, special.eos]] = torch.tensor([0.2, 10.0, 3.0])
    weighted = F.cross_entropy(
        logits[channels.valid], channels.user_labels[channels.valid], weight=by_token, reduction="sum"
    )
    weights = TokenWeights(pad=0.2, inside=0.2, bos=10, eos=3, text=0.5)
    torch.testing.assert_close(model(batch, LossConfig(token_weight=weights)).user_text, weighted.detach())


@torch.no_grad()
def test_codes_that_are_not_heard_are_not_fed_back(talk):
    model, tokenizer = build_model(SMALL)
    batch = collate(list(talk.cuts("train"))[:1], tokenizer)
    deaf = replace(batch, unheard=torch.ones_like(batch.text, dtype=torch.bool))
    other = replace(deaf, codes=(deaf.codes + 1) % 4_032)
    assert all(torch.equal(*pair) for pair in zip(model.eval().logits(deaf), model.logits(other), strict=True))
    assert not torch.allclose(model.logits(deaf)[0], model.logits(batch)[0])
    assert torch.equal(model.channels(deaf).code_labels, model.channels(batch).code_labels)


@torch.no_grad()
def test_greedy_decoding_takes_the_offline_models_likeliest(talk):
    """Fed its own decoded channels, the offline pass has the same maxima, so the cache and the shifts are right."""
    model, tokenizer = build_model(SMALL, seed=5)
    batch = collate(list(talk.cuts("train"))[:2], tokenizer)
    decoded = greedy(model.eval(), batch.audio)
    # Speech BOS and EOS follow the text, as in training: a random model's own would differ.
    user, _ = model.encoder(batch.audio)
    delayed = torch.cat([torch.full((2, 1, 4), SPEECH_DELAY), decoded.codes[:, :-1]], dim=1)
    text_logits, code_logits = model.heads(model.hidden(model.embed(decoded.text, delayed) + user))
    assert torch.equal(text_logits.argmax(-1)[:, :-1], decoded.text[:, 1:])
    assert torch.equal(code_logits.argmax(-1), decoded.codes)


def test_lora_trains_little_of_the_llm():
    pytest.importorskip("peft")
    model, _ = build_model(SMALL.model_copy(update={"lora": LoraConfig(rank=4)}))
    every, trained = parameters_by_part(model)["llm"]
    assert 0 < trained < 0.2 * every
    assert parameters_by_part(model)["encoder"][0] == parameters_by_part(model)["encoder"][1]


def test_freezing_by_pattern():
    model, _ = build_model(SMALL.model_copy(update={"freeze": [r"^llm\..*layers\.0\."]}))
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert frozen and all(".layers.0." in name for name in frozen)
    with pytest.raises(RequestError, match="no parameter name matches 'nothing'"):
        build_model(SMALL.model_copy(update={"freeze": ["nothing"]}))


def test_a_missing_llm_is_reported():
    with pytest.raises(RequestError, match="nowhere/model can't be loaded"):
        build_model(SMALL.model_copy(update={"llm": "nowhere/model"}))


def test_a_missing_nemo_encoder_is_reported():
    from salm_duplex_model.config import NemoEncoderConfig

    with pytest.raises(RequestError, match=r"gone\.nemo does not exist"):
        build_model(SMALL.model_copy(update={"encoder": NemoEncoderConfig(name="gone.nemo")}))


def test_a_step_s_losses_and_gradients_are_those_of_whole_logits(talk):
    """The step as computed before heads and losses were fused: all logits in memory, EmbeddingBag for the codes."""
    model, tokenizer = build_model(SMALL, seed=1)
    batch = collate(list(talk.cuts("train")), tokenizer)
    channels, loss = model.channels(batch), LossConfig()
    text_logits, code_logits = model.logits(batch)
    text = F.cross_entropy(text_logits[channels.valid], channels.text_labels[channels.valid], reduction="sum")
    codes = F.cross_entropy(
        code_logits[channels.valid].flatten(0, 1), channels.code_labels[channels.valid].flatten(), reduction="sum"
    )
    expected = torch.autograd.grad(3 * text + codes, list(model.parameters()))
    found = model(batch, loss)
    torch.testing.assert_close((found.text, found.codes), (text.detach(), codes.detach()))
    gradients = torch.autograd.grad(found.total, list(model.parameters()))
    for name, own, other in zip(dict(model.named_parameters()), gradients, expected, strict=True):
        assert float((own - other).norm() / (other.norm() + 1e-9)) < 1e-4, name
    rows = channels.code_inputs + torch.arange(4) * SPEECH_VOCABULARY
    bag = F.embedding_bag(rows.flatten(0, 1), model.code_embedding.weight, mode="sum")
    embedded = model.embed(channels.text_inputs, channels.code_inputs) - model.llm.get_input_embeddings()(
        channels.text_inputs
    )
    torch.testing.assert_close(embedded.flatten(0, 1), bag, atol=1e-6, rtol=1e-4)


def test_weighted_labels_weigh_on_the_text_loss_alone_padding_left_out(talk):
    """By torch's class weights, since all PAD labels have the same weight here."""
    model, tokenizer = build_model(SMALL, seed=1)
    batch, special = collate(list(talk.cuts("train")), tokenizer), tokenizer.special
    channels = model.channels(batch)
    by_token = torch.full((tokenizer.size,), 0.5)
    by_token[[special.pad, special.bos, special.eos]] = torch.tensor([0.2, 10.0, 3.0])
    logits, labels = model.logits(batch)[0][channels.valid], channels.text_labels[channels.valid]
    expected = F.cross_entropy(logits, labels, weight=by_token, reduction="sum")
    weights = TokenWeights(pad=0.2, inside=0.2, bos=10, eos=3, text=0.5)
    found, plain = model(batch, LossConfig(token_weight=weights)), model(batch, LossConfig())
    torch.testing.assert_close(found.text, expected.detach())
    assert torch.equal(found.codes, plain.codes)
    torch.testing.assert_close(found.total, plain.total + 3 * (found.text - plain.text))


def test_attention_gets_no_mask_so_that_it_may_take_the_flash_path(talk):
    model, tokenizer = build_model(SMALL)
    asked = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function is F.scaled_dot_product_attention:
                asked.append(kwargs)
            return function(*args, **kwargs or {})

    with Watch():
        model(collate(list(talk.cuts("train")), tokenizer), LossConfig())
    assert len(asked) == 2 and all(call["attn_mask"] is None and call["is_causal"] for call in asked)


def test_compiled_once_a_step_of_any_shape_gives_the_same_losses(talk):
    torch.compiler.reset()
    plain, tokenizer = build_model(SMALL, seed=1)
    compiled, _ = build_model(SMALL, seed=1)
    compiled.compile_parts()
    cuts = list(talk.cuts("train"))
    for number, stance in ((2, "default"), (3, "fail_on_recompile"), (4, "fail_on_recompile")):
        batch = collate(cuts[:number], tokenizer)
        with torch.compiler.set_stance(stance):
            for model in (plain, compiled):
                model.zero_grad()
                model(batch, LossConfig()).total.backward()
        for (name, own), (_, other) in zip(compiled.named_parameters(), plain.named_parameters(), strict=True):
            assert float((own.grad - other.grad).norm() / (other.grad.norm() + 1e-9)) < 1e-4, name
