from dataclasses import replace

import numpy as np
import pytest

from stages.tokenize import BundledTokenizer, TokenizeSettings, _batches


@pytest.fixture(scope="module")
def tokenizer():
    stage = BundledTokenizer(TokenizeSettings(), 0)
    stage.setup()
    return stage


def test_one_code_of_four_a_frame_and_the_same_again(tokenizer, rendered):
    first, again = tokenizer.process(rendered), tokenizer.process(rendered)
    for before, one, two in zip(rendered, first, again, strict=True):
        assert one.dialogue.id == before.dialogue.id
        assert one.codes.shape == (before.timeline.frames, 4)
        assert one.codes.dtype == np.int16
        assert one.codes.min() >= 0 and one.codes.max() < 4_032
        assert np.array_equal(one.codes, two.codes)


def test_codes_decode_to_the_agents_speech_and_its_silence(tokenizer, rendered):
    import torch

    for record in tokenizer.process(rendered[:3]):
        decoded = tokenizer.codec.decode(torch.from_numpy(record.codes)[None])[0].numpy()
        level = np.sqrt(np.mean(decoded.reshape(-1, 1_764) ** 2, axis=1))
        spoken = np.sqrt(np.mean((record.agent.reshape(-1, 1_764) / 32768) ** 2, axis=1))
        assert np.corrcoef(level, spoken)[0, 1] > 0.9
        silent = np.convolve(spoken > 0, np.ones(5), mode="same") == 0  # a frame or more away from any speech
        assert level[silent].max() < 10 ** (-50 / 20)


def test_batches_hold_every_record_once_and_stay_small(rendered, monkeypatch):
    monkeypatch.setattr("stages.tokenize.BATCH_FRAMES", 500)
    batches = list(_batches(rendered))
    assert sorted(i for batch in batches for i in batch) == list(range(len(rendered)))
    assert len(batches) > 1
    longest = [max(rendered[i].timeline.frames for i in batch) * len(batch) for batch in batches]
    assert all(frames <= 500 or len(batch) == 1 for frames, batch in zip(longest, batches, strict=True))


def test_what_made_the_codes_is_recorded(tokenizer):
    made_by = tokenizer.made_by()
    assert made_by["codec"] == "bundled" and len(made_by["codec_sha256"]) == 64
    assert made_by["device"] == "cpu"


def test_order_of_records_is_kept(tokenizer, rendered):
    shuffled = [replace(r) for r in reversed(rendered)]
    assert [r.dialogue.id for r in tokenizer.process(shuffled)] == [r.dialogue.id for r in shuffled]
