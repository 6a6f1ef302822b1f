"""Auxiliary labels, by hand and on a corpus, and the losses on them."""

import numpy as np
import torch
from lhotse import SupervisionSegment
from lhotse.supervision import AlignmentItem
from torch.nn import functional as F

from salm_duplex_model.auxiliary import EDGES, KINDS, UNKNOWN, AuxiliaryHeads, auxiliary_labels, unlabeled
from salm_duplex_model.batch import collate, frames_of
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer


def said(speaker: str, start: float, end: float, words=(), **custom) -> SupervisionSegment:
    alignment = {"word": [AlignmentItem("w", a, round(b - a, 6)) for a, b in words]}
    return SupervisionSegment("s", "r", start, end - start, speaker=speaker, alignment=alignment, custom=custom)


def spelled(labels: np.ndarray) -> str:
    return "".join("-TP>BA"[kind] for kind in labels[:, 1])


def test_a_dialogue_by_hand():
    """3.2 s, 40 frames: a turn with a pause of 0.4 s and a gap of 0.16 s, an answer with a backchannel in it, side
    talk."""
    labels = auxiliary_labels(
        [
            said("user", 0.16, 1.52, [(0.16, 0.40), (0.80, 1.04), (1.20, 1.52)], event="turn"),
            said("agent", 1.92, 2.72, event="turn"),
            said("user", 2.24, 2.40, [(2.24, 2.40)], event="backchannel"),
            said("user", 2.80, 3.04, event="side_talk"),
        ],
        40,
    )
    assert spelled(labels) == "--TTTPPPPPTTTTTT>>>---------BB-----AAA--"
    assert "".join(map(str, labels[:, 0])) == "0011100000111111111000000000110000011100"
    user, agent = labels[:, 2:6], labels[:, 6:]
    # After frame 0, at 0.08 s: 0.12 of 0.2 s is speech; 0.12 of 0.4 s; 0.48 of 0.6 s; 0.24 of 0.8 s.
    assert user[0].tolist() == [1, 0, 1, 0]
    # After frame 18, where the turn ends: the agent speaks from 0.4 s on, until 1.2 s.
    assert user[18].tolist() == [0, 0, 0, UNKNOWN] and agent[18].tolist() == [0, 1, 1, UNKNOWN]
    # Labels are unknown if they end after the cut: 40 frames are 160 steps.
    assert [(column == UNKNOWN).sum() for column in user.T] == [3, 8, 15, 25]
    assert [(column == UNKNOWN).sum() for column in agent.T] == [3, 8, 15, 25]


def test_bins_beyond_the_cut_and_turns_without_word_times():
    labels = auxiliary_labels([said("user", 0.08, 0.6), said("agent", 5, 6)], 5)
    assert spelled(labels) == "-TTT>" and (labels[:, 6:][labels[:, 6:] != UNKNOWN] == 0).all()


def test_on_a_corpus_a_labeled_frame_sounds_as_it_is_labeled(talk):
    cuts, tokenizer = list(talk.cuts("train")), TextTokenizer.load(BUNDLED)
    batch = collate(cuts, tokenizer, auxiliary=True)
    assert collate(cuts, tokenizer).auxiliary is None
    powers = batch.audio.unflatten(1, (-1, 1_280)).square().mean(-1)
    seen = set()
    for row, cut in enumerate(cuts):
        frames = frames_of(cut)
        labels, power = batch.auxiliary[row, :frames].numpy(), powers[row, :frames].numpy()
        assert (batch.auxiliary[row, frames:] == UNKNOWN).all()
        speaking, kind = labels[:, 0] == 1, labels[:, 1]
        seen |= {KINDS[k] for k in kind}
        assert (speaking == ~np.isin(kind, (0, 2)))[kind != 3].all()
        assert np.median(power[speaking]) > 1e-4 and np.median(power[kind == 0]) < 1e-6
        # The bins of the first 0.2 s against the frames that they cover.
        for frame in np.flatnonzero(labels[:-4, 2] == 1):
            assert speaking[frame + 1 : frame + 4].any()
        for turn in (s for s in cut.supervisions if s.speaker == "agent"):
            inside = labels[int(turn.start / 0.08) : int(turn.end / 0.08) - 26, 6:]
            assert len(inside) == 0 or (inside[:, 0] == 1).mean() > 0.8
    assert {"silence", "turn", "ending"} <= seen


def test_losses_are_torch_s_over_known_labels():
    torch.manual_seed(0)
    heads, heard = AuxiliaryHeads(6), torch.randn(2, 5, 6)
    labels = torch.cat(
        [torch.randint(0, 2, (2, 5, 1)), torch.randint(0, 6, (2, 5, 1)), torch.randint(0, 2, (2, 5, 8))], 2
    )
    labels = labels.to(torch.int8)
    logits = heads.linear(heard)
    whole = heads(heard, labels)
    expected = F.binary_cross_entropy_with_logits(logits[..., 0], labels[..., 0].float(), reduction="sum")
    torch.testing.assert_close(whole["speaking"], expected)
    expected = F.cross_entropy(logits[..., 1:7].flatten(0, 1), labels[..., 1].flatten().long(), reduction="sum")
    torch.testing.assert_close(whole["speech"], expected)
    expected = F.binary_cross_entropy_with_logits(logits[..., 7:], labels[..., 2:].float(), reduction="sum") / 8
    torch.testing.assert_close(whole["projection"], expected)
    padded = torch.cat([labels[:1], unlabeled(1, 5)])
    alone = heads(heard[:1], labels[:1])
    for name, loss in heads(heard, padded).items():
        torch.testing.assert_close(loss, alone[name])
    none = heads(heard, unlabeled(2, 5))
    assert all(loss.item() == 0 for loss in none.values())
    assert len(EDGES) == 5 and set(none) == {"speaking", "speech", "projection"}
