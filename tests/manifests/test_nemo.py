"""NeMo's own duplex dataset reads our shards, and its target tokens equal ours."""

import numpy as np
import pytest
from lhotse import CutSet
from material import LINES, make_dialogue

from manifests.records import TokenizedDialogue
from manifests.shards import write_shard
from manifests.text_channel import SpecialTokens, text_channel
from pipeline.report.timeline_layout import barge_ins
from stages.base import labeled
from stages.cast import Cast, CastSettings
from stages.render import Render, RenderSettings
from stages.schedule import BargeInSettings, Schedule, ScheduleSettings
from stages.speak import Speak, SpeakSettings
from stages.synthesize import SynthesizerSettings
from stages.voices.espeak import EspeakSynthesizer


@pytest.fixture(scope="module")
def cuts(tmp_path_factory, rendered) -> CutSet:
    folder = tmp_path_factory.mktemp("shard")
    coded = [TokenizedDialogue.of(r, np.zeros((r.timeline.frames, 4), dtype=np.int16)) for r in rendered]
    write_shard(folder, 0, [labeled(record, telephone=True) for record in coded], {})
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
    bpe.train_from_iterator((s.text_full for cut in cuts for s in cut.supervisions), trainer)
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


def test_no_token_reveals_an_interruption_in_advance(tmp_path, tokenizer):
    """Up to the user's onset, a cut-off turn's tokens are those of its whole text, in NeMo's channel and in ours, even
    if the text is longer than the time to the cut."""
    from nemo.collections.speechlm2.data.s2s_dataset import build_token_channel

    long = " ".join([LINES[1], LINES[3]] * 4)
    records: list = [make_dialogue(f"d{i}", (LINES[0], long, LINES[2], long)) for i in range(24)]
    for stage in (
        Speak(SpeakSettings(max_turn_words=400), 0),
        Cast(CastSettings(), 0),
        EspeakSynthesizer(SynthesizerSettings(), 0),
        Schedule(ScheduleSettings(barge_in=BargeInSettings(share=1, turn_share=1)), 0),
        Render(RenderSettings(), 0),
    ):
        stage.setup()
        records = stage.process(records)
    coded = [TokenizedDialogue.of(r, np.zeros((r.timeline.frames, 4), dtype=np.int16)) for r in records]
    write_shard(tmp_path, 0, coded, {})
    special = SpecialTokens(pad=-1, bos=tokenizer.bos, eos=tokenizer.eos)
    unfinished = late = 0
    for cut in CutSet.from_shar(in_dir=tmp_path):
        frames = len(cut.load_target_codes())
        theirs = build_token_channel(cut, tokenizer, 0.08, {"agent"}).numpy()
        ours = text_channel(cut.supervisions, frames, "agent", tokenizer.text_to_ids, special).tokens
        for agent, user in barge_ins(cut.supervisions):
            first, onset, eos = (round(agent.start / 0.08), int(user.start / 0.08), nearest_frame(agent.end))
            whole = [tokenizer.bos, *tokenizer.text_to_ids(agent.text_full), *[-1] * frames]
            assert ours[first:eos].tolist() == whole[: eos - first]
            assert theirs[first : onset + 1].tolist() == whole[: onset + 1 - first]
            assert ours[eos] == theirs[eos] == tokenizer.eos
            unfinished += ours[onset] != -1
            late += int((theirs[eos + 1 : eos + 10] != -1).sum())
    assert unfinished >= 5, "an onset while text is still laid out must be among them"
    assert late <= 2 * unfinished, "what NeMo leaves behind EOS is a token or two"


def nearest_frame(seconds: float) -> int:
    return int(seconds / 0.08 + 0.5)
