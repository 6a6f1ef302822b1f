"""NeMo's own duplex dataset reads our shards, and its target tokens are ours."""

import numpy as np
import pytest
from lhotse import CutSet

from manifests.records import TokenizedDialogue
from manifests.shards import write_shard
from manifests.text_channel import SpecialTokens, text_channel


@pytest.fixture(scope="module")
def cuts(tmp_path_factory, rendered) -> CutSet:
    folder = tmp_path_factory.mktemp("shard")
    coded = [TokenizedDialogue.of(r, np.zeros((r.timeline.frames, 4), dtype=np.int16)) for r in rendered]
    write_shard(folder, 0, coded, {})
    return CutSet.from_shar(in_dir=folder).to_eager()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory, cuts):
    """A byte-pair tokenizer like an LLM's, trained here on the cuts' own text, in Hugging Face's format."""
    from nemo.collections.common.tokenizers import AutoTokenizer
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    bpe.train_from_iterator((s.text for cut in cuts for s in cut.supervisions), trainer)
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", bos_token="<s>", eos_token="</s>").save_pretrained(
        folder
    )
    return AutoTokenizer(str(folder), use_fast=True)


def test_target_and_source_tokens_equal_nemos(cuts, tokenizer):
    from nemo.collections.speechlm2.data.s2s_dataset import DuplexS2SDataset
    from nemo.collections.speechlm2.data.utils import get_pad_id

    batch = DuplexS2SDataset(tokenizer, 0.08, 16_000, 22_050)[cuts]
    special = SpecialTokens(pad=get_pad_id(tokenizer), bos=tokenizer.bos, eos=tokenizer.eos)
    for row, cut in enumerate(cuts):
        frames = len(cut.load_target_codes())
        assert int(batch["target_token_lens"][row]) == frames
        assert int(batch["source_audio_lens"][row]) == frames * 1_280
        assert int(batch["target_audio_lens"][row]) == frames * 1_764
        for speaker, key in (("agent", "target_tokens"), ("user", "source_tokens")):
            ours = text_channel(cut.supervisions, frames, speaker, tokenizer.text_to_ids, special)
            theirs = batch[key][row][:frames].numpy()
            if ours.cut_tokens == 0:
                assert np.array_equal(ours.tokens, theirs), cut.id
            assert (ours.tokens == special.bos).sum() == sum(s.speaker == speaker for s in cut.supervisions)
        agent = text_channel(cut.supervisions, frames, "agent", tokenizer.text_to_ids, special)
        assert agent.cut_tokens == 0, "agent turns must fit in their frames"
