"""Validation losses, and the losses of a baseline to compare them with."""

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from manifests.frames import CODEBOOKS
from salm_duplex_model.batch import Batch
from salm_duplex_model.channels import SPEECH_VOCABULARY
from salm_duplex_model.config import RunConfig, TokenWeights
from salm_duplex_model.model import DuplexModel
from salm_duplex_model.precision import autocast


@torch.no_grad()
def validate(model: DuplexModel, batches: Sequence[Batch], config: RunConfig, device: torch.device) -> dict[str, float]:
    """Mean losses in nats per token, each label counted once, over the frames of the batches; the same in every
    process."""
    model.eval()
    plain = config.loss.model_copy(update={"mask_padding": True, "token_weight": TokenWeights()})
    sums: dict[str, Tensor] = {}
    frames = 0
    # Compiling is not worthwhile for so few batches.
    as_written = torch.compiler.set_stance("force_eager") if config.compile else nullcontext()
    for batch in batches:
        with autocast(config, device), as_written:
            losses = model(batch.to(device), plain)
        for name, own in losses.summed().items():
            sums[name] = sums.get(name, 0) + own
        frames += int((batch.frames - 1).sum())
    model.train()
    return {f"validation_{name}": float(sums[name] / max(frames, 1)) for name in sums if name != "loss"}


def unigram_losses(
    model: DuplexModel, training: Sequence[Batch], validation: Sequence[Batch], vocabulary: int
) -> dict[str, float]:
    """The validation losses of a model that knows only the label frequencies in training: the baseline, in nats.

    With add-one smoothing, since a label may be unseen. (The entropy of a short validation set's own labels would be
    far too low a baseline: it knows which few of the 4 032 codes occur.)"""

    def labels(batches: Sequence[Batch]) -> list[np.ndarray]:
        """The text labels, those of each codebook and, if any, those of the user's text, of all frames."""
        arranged = [model.channels(batch) for batch in batches]
        text = np.concatenate([c.text_labels[c.valid].numpy() for c in arranged])
        codes = np.concatenate([c.code_labels[c.valid].numpy() for c in arranged])
        user = [c.user_labels[c.valid].numpy() for c in arranged if c.user_labels is not None]
        return [text, *codes.T, *([np.concatenate(user)] if user else [])]

    marks = [
        _cross_entropy(known, new, SPEECH_VOCABULARY if 1 <= number <= CODEBOOKS else vocabulary)
        for number, (known, new) in enumerate(zip(labels(training), labels(validation), strict=True))
    ]
    text, books, user = marks[0], marks[1 : 1 + CODEBOOKS], marks[1 + CODEBOOKS :]
    names = ("unigram_text", "unigram_codes", "unigram_user_text")
    return dict(zip(names, (text, float(np.mean(books)), *user), strict=False))


def _cross_entropy(known: np.ndarray, new: np.ndarray, size: int) -> float:
    counts = np.bincount(known, minlength=size) + 1.0
    return float(-np.log(counts / counts.sum())[new].mean())
