"""With NeMo's weights, our model equals NeMo's: the same logits and losses, on real shards.

The encoder looks ahead by one frame, so ours hears the user 12.5 ms late; NeMo's gets the same.
"""

from dataclasses import replace

import pytest
import torch
from lhotse import CutSet
from nemo_material import copy_weights, make_asr, make_codec, make_llm, nemo_duplex_model
from torch.nn import functional as F

from salm_duplex_model.batch import collate
from salm_duplex_model.config import LossConfig, ModelConfig, NemoEncoderConfig
from salm_duplex_model.model import build_model

LIKE_NEMO = LossConfig(mask_padding=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nemo")
    asr, codec, llm = make_asr(folder / "asr.nemo"), make_codec(folder / "codec.nemo"), make_llm(folder / "llm")
    nemo = nemo_duplex_model(asr, codec, llm).eval()
    encoder = NemoEncoderConfig(name=str(asr), context=None, adapter_layers=1, adapter_width=64, adapter_heads=4)
    ours, tokenizer = build_model(ModelConfig(encoder=encoder, llm=str(llm)))
    copy_weights(nemo, ours)
    return nemo, ours.eval(), tokenizer


@pytest.fixture(scope="module")
def batches(models, small_corpus):
    """NeMo's batch of four cuts of different lengths, and ours with the codes of NeMo's codec."""
    from nemo.collections.speechlm2.data import DuplexS2SDataset

    nemo, _, tokenizer = models
    cuts = list(small_corpus.cuts("train"))[:4]
    theirs = DuplexS2SDataset(nemo.tokenizer, 0.08, 16_000, 22_050)[CutSet.from_cuts(cuts)]
    with torch.no_grad():
        codes, _ = nemo.audio_codec.encode(audio=theirs["target_audio"], audio_len=theirs["target_audio_lens"])
    batch = collate(cuts, tokenizer)
    assert len(set(batch.frames.tolist())) > 1
    theirs |= late(theirs, models[1].encoder.late)
    return theirs, replace(batch, codes=codes.transpose(1, 2)[:, : batch.text.shape[1]].long())


def late(theirs, samples):
    """NeMo's batch with the user heard late, as by our encoder with look-ahead."""
    audio = F.pad(theirs["source_audio"], (samples, 0))
    return {"source_audio": audio, "source_audio_lens": theirs["source_audio_lens"] + samples}


@torch.no_grad()
def test_logits_equal_nemos(models, batches):
    nemo, ours, _ = models
    theirs, mine = batches
    assert len(torch.unique(mine.codes)) > 100, "a codec of one code would show nothing"
    inputs = nemo.prepare_inputs(theirs)
    expected = nemo(inputs["input_embeds"])
    text, codes = ours.logits(mine)
    assert text.shape == expected["text_logits"].shape and codes.shape == expected["audio_logits"].shape
    assert (text - expected["text_logits"]).abs().max() <= 1e-4
    assert (codes - expected["audio_logits"]).abs().max() <= 1e-4
    assert expected["audio_logits"].std() > 0.01
    channels = ours.channels(mine)
    assert torch.equal(channels.text_labels, inputs["text_labels"])
    assert torch.equal(channels.code_labels, inputs["audio_labels"])


@torch.no_grad()
def test_losses_equal_nemos(models, batches):
    nemo, ours, _ = models
    theirs, mine = batches
    expected = nemo.training_step(theirs, 0)
    sums = ours(mine, LIKE_NEMO)
    frames = expected["num_frames"]
    # NeMo counts its encoder's vectors, one more than there are frames in each row except the longest.
    assert frames == (mine.frames - 1).sum() + 3
    assert float(sums.text / frames) == pytest.approx(float(expected["text_loss"]), abs=1e-4)
    assert float(sums.codes / frames / 4) == pytest.approx(float(expected["audio_loss"]), abs=1e-4)
    assert float(sums.total / frames) == pytest.approx(float(expected["loss"]), rel=1e-5)


@torch.no_grad()
def test_losses_equal_nemos_without_padding(models, batches):
    nemo, ours, _ = models
    theirs, mine = batches
    longest = int(mine.frames.argmax())
    expected = nemo.training_step({k: v[longest : longest + 1] for k, v in theirs.items()}, 0)
    sums = ours(row(mine, longest), LossConfig())
    assert float(sums.total / (mine.frames[longest] - 1)) == pytest.approx(float(expected["loss"]), rel=1e-5)


def row(batch, i):
    return replace(
        batch, audio=batch.audio[[i]], text=batch.text[[i]], codes=batch.codes[[i]], frames=batch.frames[[i]]
    )


@torch.no_grad()
def test_without_padding_we_differ_on_purpose(models, batches):
    _, ours, _ = models
    _, mine = batches
    alone = [ours(row(mine, i), LossConfig()) for i in range(4)]
    assert float(ours(mine, LossConfig()).text) == pytest.approx(float(sum(s.text for s in alone)), rel=1e-5)
    assert float(ours(mine, LossConfig()).text) < float(ours(mine, LIKE_NEMO).text)
