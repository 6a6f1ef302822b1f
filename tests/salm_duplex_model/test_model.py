from dataclasses import replace

import pytest
import torch

from manifests.errors import RequestError
from manifests.text_channel import SpecialTokens
from salm_duplex_model.batch import collate
from salm_duplex_model.channels import SPEECH_BOS, SPEECH_DELAY, SPEECH_EOS, arrange
from salm_duplex_model.config import LlamaConfig, LoraConfig, ModelConfig
from salm_duplex_model.generate import greedy
from salm_duplex_model.model import build_model, parameters_by_part

SMALL = ModelConfig(llm=LlamaConfig(hidden_size=64, layers=2, heads=2, intermediate_size=128))
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
        # Whole matrices are multiplied, and their shape is the same: what came before is bit for bit the same.
        assert torch.equal(one[:, :t], other[:, :t])
        assert not torch.allclose(one[:, t], other[:, t])


@torch.no_grad()
def test_of_codes_unheard_nothing_goes_in(talk):
    model, tokenizer = build_model(SMALL)
    batch = collate(list(talk.cuts("train"))[:1], tokenizer)
    deaf = replace(batch, unheard=torch.ones_like(batch.text, dtype=torch.bool))
    other = replace(deaf, codes=(deaf.codes + 1) % 4_032)
    assert all(torch.equal(*pair) for pair in zip(model.eval().logits(deaf), model.logits(other), strict=True))
    assert not torch.allclose(model.logits(deaf)[0], model.logits(batch)[0])
    assert torch.equal(model.channels(deaf).code_labels, model.channels(batch).code_labels)


@torch.no_grad()
def test_greedy_decoding_takes_the_offline_models_likeliest(talk):
    """Fed its own decoded channels, the offline pass has the same maxima: the cache and the shifts are right."""
    model, tokenizer = build_model(SMALL, seed=5)
    batch = collate(list(talk.cuts("train"))[:2], tokenizer)
    decoded = greedy(model.eval(), batch.audio)
    # Marks are put into the codes by the text, as in training: a random model's own marks would differ.
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
    with pytest.raises(RequestError, match="no parameter's name matches 'nothing'"):
        build_model(SMALL.model_copy(update={"freeze": ["nothing"]}))


def test_a_missing_llm_is_told():
    with pytest.raises(RequestError, match="nowhere/model can't be loaded"):
        build_model(SMALL.model_copy(update={"llm": "nowhere/model"}))


def test_a_missing_nemo_encoder_is_told():
    from salm_duplex_model.config import NemoEncoderConfig

    with pytest.raises(RequestError, match=r"gone\.nemo does not exist"):
        build_model(SMALL.model_copy(update={"encoder": NemoEncoderConfig(name="gone.nemo")}))
