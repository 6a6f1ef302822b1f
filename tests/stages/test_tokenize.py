from dataclasses import replace

import numpy as np
import pytest
import torch

from salm_duplex_model.codec import Codec
from stages.tokenize import BundledTokenizer, TokenizeSettings, _batches, stretches_of

MARGIN_FRAMES = Codec.reach


@pytest.fixture(scope="module")
def tokenizer():
    stage = BundledTokenizer(TokenizeSettings(), 0)
    stage.setup()
    return stage


def test_four_codes_per_frame_reproducibly(tokenizer, rendered):
    first, again = tokenizer.process(rendered), tokenizer.process(rendered)
    for before, one, two in zip(rendered, first, again, strict=True):
        assert one.dialogue.id == before.dialogue.id
        assert one.codes.shape == (before.timeline.frames, 4)
        assert one.codes.dtype == np.int16
        assert one.codes.min() >= 0 and one.codes.max() < 4_032
        assert np.array_equal(one.codes, two.codes)


def test_codes_decode_to_the_agents_speech_and_its_silence(tokenizer, rendered):
    for record in tokenizer.process(rendered[:3]):
        decoded = tokenizer.codec.decode(torch.from_numpy(record.codes)[None])[0].numpy()
        level = np.sqrt(np.mean(decoded.reshape(-1, 1_764) ** 2, axis=1))
        spoken = np.sqrt(np.mean((record.agent.reshape(-1, 1_764) / 32768) ** 2, axis=1))
        assert np.corrcoef(level, spoken)[0, 1] > 0.9
        silent = np.convolve(spoken > 0, np.ones(5), mode="same") == 0  # a frame or more away from any speech
        assert level[silent].max() < 10 ** (-50 / 20)


def test_silence_before_a_turn_does_not_reveal_it(tokenizer, rendered):
    for record in tokenizer.process(rendered):
        heard = np.zeros(record.timeline.frames, dtype=bool)
        for segment in agent_segments(record):
            heard[segment.start // 1_764 : -(-segment.end // 1_764)] = True
        assert heard.any() and not heard.all()
        assert (record.codes[~heard] == tokenizer.silence).all()
        assert (record.codes[heard] != tokenizer.silence).any(axis=1).mean() > 0.9


def test_codes_before_a_cut_off_do_not_reveal_it(tokenizer, rendered):
    cut_offs = 0
    for record, whole in zip(rendered, tokenizer.process(rendered), strict=True):
        uncut = iter(record.uncut)
        for segment in agent_segments(record):
            if segment.cut_off:
                cut_offs += 1
                speech = next(uncut)
                assert len(speech) > segment.length
                margin = np.zeros(MARGIN_FRAMES * 1_764, dtype=np.int16)
                padded = np.concatenate([margin, speech, np.zeros(-len(speech) % 1_764, dtype=np.int16), margin])
                alone = tokenizer.codec.encode(torch.from_numpy(padded / np.float32(32768))[None])[0].numpy()
                first, last = segment.start // 1_764, -(-segment.end // 1_764)
                same = whole.codes[first:last] == alone[MARGIN_FRAMES:][: last - first]
                assert same.mean() > 0.99  # another batch shape may move a code by rounding
        assert next(uncut, None) is None and whole.uncut == ()
    assert cut_offs > 2


def agent_segments(record):
    return [segment for segment in record.timeline.segments if segment.speaker == "agent"]


def test_the_encoder_looks_no_further_than_the_margin(tokenizer):
    speech = torch.randn(1, 60 * 1_764, generator=torch.Generator().manual_seed(0)) * 0.1
    other = speech.clone()
    other[:, : 20 * 1_764] = other[:, 40 * 1_764 :] = 0
    same = (tokenizer.codec.encode(speech) == tokenizer.codec.encode(other)).all(-1)[0]
    assert same[20 + MARGIN_FRAMES : 40 - MARGIN_FRAMES].all() and not same[20:40].all()


def test_batches_hold_every_turn_once_and_stay_small(rendered):
    stretches = [stretch for i, record in enumerate(rendered) for stretch in stretches_of(i, record)]
    assert len(stretches) == sum(len(agent_segments(record)) for record in rendered)
    batches = list(_batches(stretches, MARGIN_FRAMES, 500))
    in_batches = [(stretch.record, stretch.first) for batch in batches for stretch in batch]
    assert sorted(in_batches) == sorted((stretch.record, stretch.first) for stretch in stretches)
    assert len(batches) > 1
    sizes = [max(stretch.frames + 2 * MARGIN_FRAMES for stretch in batch) * len(batch) for batch in batches]
    assert all(frames <= 500 or len(batch) == 1 for frames, batch in zip(sizes, batches, strict=True))


def test_the_codec_is_recorded(tokenizer):
    made_by = tokenizer.made_by()
    assert made_by["codec"] == "bundled" and len(made_by["codec_sha256"]) == 64
    assert made_by["device"] == "cpu"


def test_order_of_records_is_kept(tokenizer, rendered):
    shuffled = [replace(r) for r in reversed(rendered)]
    assert [r.dialogue.id for r in tokenizer.process(shuffled)] == [r.dialogue.id for r in shuffled]


def test_a_dialogues_codes_do_not_depend_on_its_neighbors(tokenizer, rendered):
    together = tokenizer.process(rendered)
    for record, among in zip(rendered, together, strict=True):
        assert np.array_equal(tokenizer.process([record])[0].codes, among.codes)
