"""Metrics of the agent's words: BLEU against the reference's, perplexity, and word errors of its speech against its text.

All are sums over dialogues, for the bootstrap. For WER, texts are compared in lower case and without punctuation; BLEU is
sacrebleu's, with its own tokenization (13a), in lower case, with each dialogue as one segment.
"""

from collections.abc import Sequence

import jiwer
import numpy as np
import torch
from lhotse import MonoCut
from sacrebleu.metrics.bleu import BLEU
from torch.nn import functional as F

from manifests.text_channel import Alignment
from manifests.words import words_of
from salm_duplex_model.batch import collate
from salm_duplex_model.evaluation.bootstrap import Figure, figure, ratio
from salm_duplex_model.model import DuplexModel
from salm_duplex_model.tokenizer import TextTokenizer


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> Figure:
    """Corpus BLEU, 0 to 100, over dialogues with a nonempty reference; `n` is their number."""
    pairs = [(own, other) for own, other in zip(hypotheses, references, strict=True) if other.strip()]
    if not pairs:
        return figure(np.zeros((0, 1)))
    metric = BLEU(lowercase=True)
    # As in sacrebleu's own bootstrap, but with dialogues instead of sentences: sums of n-gram counts, then the score.
    alone = [metric.corpus_score([own], [[other]]) for own, other in pairs]
    sums = np.array([[one.sys_len, one.ref_len, *one.counts, *one.totals] for one in alone])

    def score_of(own: int, other: int, *counts: int) -> float:
        n = metric.max_ngram_order
        return float(BLEU.compute_bleu(list(counts[:n]), list(counts[n:]), own, other, metric.smooth_method).score)

    def score(drawn: np.ndarray) -> np.ndarray:
        rows = drawn.reshape(-1, drawn.shape[-1]).astype(int).tolist()
        return np.array([score_of(*row) for row in rows]).reshape(drawn.shape[:-1])

    return figure(sums, score, np.ones(len(pairs)))


def word_errors(hypothesis: str, reference: str) -> tuple[int, int]:
    """Substitutions, deletions and insertions, and the reference's number of words."""
    heard, said = words_of(hypothesis), words_of(reference)
    if not said:  # jiwer needs a nonempty reference
        return len(heard), 0
    found = jiwer.process_words(" ".join(said), " ".join(heard))
    return found.substitutions + found.deletions + found.insertions, len(said)


def word_error_rate(hypotheses: Sequence[str], references: Sequence[str]) -> Figure:
    """WER over all dialogues, where `n` is the number of reference words; above 1 if more is recognized than said."""
    pairs = zip(hypotheses, references, strict=True)
    return figure(np.array([word_errors(own, other) for own, other in pairs], dtype=np.float64).reshape(-1, 2))


@torch.inference_mode()
def perplexity(
    model: DuplexModel,
    tokenizer: TextTokenizer,
    cuts: Sequence[MonoCut],
    batch: int,
    alignment: Alignment = "turn",
    user_delay: int | None = None,
) -> Figure:
    """Perplexity of the reference agent's text with the reference's past as input, over frames that are not PAD (BOS
    and EOS are counted).

    A model with the user's text channel reads the true words, laid out with `user_delay`. `n` is the number of frames
    counted."""
    device = next(model.parameters()).device
    sums = []
    for first in range(0, len(cuts), batch):
        some = cuts[first : first + batch]
        loaded = collate(some, tokenizer, alignment=alignment, user_delay=user_delay).to(device)
        channels = model.channels(loaded)
        # Without the logits of the codes, which are larger by far.
        logits = model.text_head(model.hidden(model.fuse(model.hear(loaded), channels)))
        losses = F.cross_entropy(logits.float().transpose(1, 2), channels.text_labels, reduction="none")
        counted = channels.valid & (channels.text_labels != tokenizer.special.pad)
        sums.append(torch.stack([(losses * counted).sum(1), counted.sum(1)], 1).double().cpu().numpy())
    return figure(np.concatenate(sums) if sums else np.zeros((0, 2)), lambda drawn: np.exp(ratio(drawn)))
