"""Cuts as tensors, and the imports of the model."""

import subprocess
import sys

import torch

from salm_duplex_model.batch import collate, frames_of
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer


def test_cuts_are_padded_to_the_longest(talk):
    cuts, tokenizer = list(talk.cuts("train")), TextTokenizer.load(BUNDLED)
    batch = collate(cuts, tokenizer)
    longest = max(map(frames_of, cuts))
    assert batch.audio.shape == (len(cuts), longest * 1_280) and batch.codes.shape == (len(cuts), longest, 4)
    for row, cut in enumerate(cuts):
        frames = frames_of(cut)
        assert batch.ids[row] == cut.id and batch.frames[row] == frames
        assert torch.equal(batch.audio[row, : frames * 1_280], torch.from_numpy(cut.load_audio()[0]))
        assert torch.equal(batch.codes[row, :frames], torch.from_numpy(cut.load_target_codes()).long())
        assert not batch.audio[row, frames * 1_280 :].any() and not batch.codes[row, frames:].any()
        assert (batch.text[row, frames:] == tokenizer.special.pad).all()


def test_without_audio_only_the_user_is_missing(talk):
    cuts, tokenizer = list(talk.cuts("train")), TextTokenizer.load(BUNDLED)
    whole, silent = collate(cuts, tokenizer), collate(cuts, tokenizer, audio=False)
    assert whole.audio.any() and not silent.audio.any()
    assert torch.equal(whole.text, silent.text) and torch.equal(whole.codes, silent.codes)


def test_the_model_imports_neither_lhotse_nor_ray_nor_nemo():
    check = "import sys, salm_duplex_model.model; sys.exit(any(n in sys.modules for n in ('lhotse', 'ray', 'nemo')))"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
