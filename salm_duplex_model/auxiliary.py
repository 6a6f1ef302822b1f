"""Auxiliary losses on the encoder's output, in training only, with labels that a corpus has exactly.

Three linear heads read the encoder's output for each frame, which depends on the user's audio up to the frame's end:

* `speaking`: is the user speaking?
* `speech`: which of `KINDS` is the frame?
* `projection`: will the user and the agent speak in the next 0–0.2, 0.2–0.6, 0.6–1.2 and 1.2–2 s? This is voice activity
  projection (Ekstedt & Skantze 2022, arXiv 2205.09812): the same bins at a resolution of 20 ms, and a bin is active if at least
  half of it is. Each bin is predicted independently (one of their variants), so that the loss can leave out single bins that
  reach beyond the end of the cut.

The future is only in the labels, never in an input.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manifests.frames import SOURCE_FRAME, SOURCE_RATE, nearest_frame, to_samples

if TYPE_CHECKING:
    from lhotse import SupervisionSegment

KINDS = ("silence", "turn", "pause", "ending", "backchannel", "aside")
"""Classes of the user's frames. `pause` is silence within a turn, `ending` the last 0.24 s of a turn; `aside` is side
talk or a false start."""
_SILENCE, _TURN, _PAUSE, _ENDING, _BACKCHANNEL, _ASIDE = range(len(KINDS))
_BY_EVENT = {"backchannel": _BACKCHANNEL, "side_talk": _ASIDE, "false_start": _ASIDE}

STEP = 320
"""Samples at 16 kHz: the resolution of activity, 20 ms."""
STEPS = SOURCE_FRAME // STEP
EDGES = (0, 10, 30, 60, 100)
"""Edges of the projection's bins, in steps after the frame's end."""
BINS = 2 * (len(EDGES) - 1)
_MERGED = 10
"""Gaps between words that are shorter than this count as speech."""
_ENDING_STEPS = 12

LABELS = 2 + BINS
UNKNOWN = -1


def auxiliary_labels(supervisions: Iterable[SupervisionSegment], frames: int) -> np.ndarray:
    """Labels int8 (frames, 10): speaking (0 or 1), the index in `KINDS`, and the projection's bins (0 or 1), the user's four
    and then the agent's. `UNKNOWN` stands for a bin that reaches beyond the cut.

    Speech is the span of a supervision without the gaps of 0.2 s or more between its words, if it has word times. The first two
    labels are taken at the frame's middle, which rounds the edges of speech to the nearest frame.
    """
    steps = frames * STEPS
    active = {"user": np.zeros(steps, dtype=bool), "agent": np.zeros(steps, dtype=bool)}
    kinds = np.full(steps, _SILENCE, dtype=np.int8)
    for supervision in supervisions:
        begin, end = _step(supervision.start), _step(supervision.end)
        speech = np.ones(max(end - begin, 0), dtype=bool)
        words = (supervision.alignment or {}).get("word", ())
        for before, after in pairwise(words):
            gap = slice(_step(before.end) - begin, _step(after.start) - begin)
            if gap.stop - gap.start >= _MERGED:
                speech[gap] = False
        speech = speech[: max(steps - begin, 0)]
        here = slice(begin, begin + len(speech))
        active[supervision.speaker][here] |= speech
        if supervision.speaker == "user":
            kind = _BY_EVENT.get((supervision.custom or {}).get("event", "turn"), _TURN)
            kinds[here] = kind if kind != _TURN else np.where(speech, _TURN, _PAUSE)
            if kind == _TURN:
                kinds[max(begin, end - _ENDING_STEPS) : end] = _ENDING
    labels = np.full((frames, LABELS), UNKNOWN, dtype=np.int8)
    middle = slice(STEPS // 2, None, STEPS)
    labels[:, 0], labels[:, 1] = active["user"][middle], kinds[middle]
    ends = STEPS * np.arange(1, frames + 1)
    bins = [(speaker, *edges) for speaker in ("user", "agent") for edges in pairwise(EDGES)]
    totals = {speaker: np.concatenate([[0], np.cumsum(steps_active)]) for speaker, steps_active in active.items()}
    for column, (speaker, first, last) in enumerate(bins, 2):
        known = ends[ends + last <= steps]
        spoken = totals[speaker][known + last] - totals[speaker][known + first]
        labels[: len(known), column] = 2 * spoken >= last - first
    return labels


def _step(seconds: float) -> int:
    return nearest_frame(to_samples(seconds, SOURCE_RATE), STEP)


class AuxiliaryHeads(nn.Module):
    """The three heads, as one linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1 + len(KINDS) + BINS)

    def forward(self, heard: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The encoder's output (B, T, width) and labels (B, T, 10) → cross entropies summed over frames; for the
        projection, the mean over its bins. `UNKNOWN` labels, which include padding, are left out."""
        speaking, speech, bins = self.linear(heard).float().split((1, len(KINDS), BINS), dim=-1)
        return {
            "speaking": _binary(speaking, labels[..., :1]),
            "speech": F.cross_entropy(
                speech.flatten(0, 1), labels[..., 1].flatten().long(), ignore_index=UNKNOWN, reduction="sum"
            ),
            "projection": _binary(bins, labels[..., 2:]) / BINS,
        }


def _binary(logits: Tensor, labels: Tensor) -> Tensor:
    known = (labels != UNKNOWN).float()
    return F.binary_cross_entropy_with_logits(logits, labels.clamp(min=0).float(), known, reduction="sum")


def unlabeled(rows: int, frames: int) -> Tensor:
    """Labels (rows, frames, 10), all unknown."""
    return torch.full((rows, frames, LABELS), UNKNOWN, dtype=torch.int8)
