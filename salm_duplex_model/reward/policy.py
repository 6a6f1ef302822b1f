"""The policy that rewards train: in each frame, whether the agent gives its next mark, BOS while silent, EOS while
speaking.

A decision's probabilities are those of the mark and of all other tokens together, by the text head: the two actions of
ASPIRin (arXiv 2604.10065), with which rewards can't change what is said instead of when. Which other token follows is
not a decision: PAD while the agent is silent, the likeliest word or PAD while it speaks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from manifests.text_channel import SpecialTokens
from salm_duplex_model.channels import inside_turns
from salm_duplex_model.window_cache import seated

CERTAIN = -1e-6
"""Maximum log-probability of a mark, so that that of its absence is finite."""


def log_chances(logits: Tensor, marks: Tensor) -> Tensor:
    """Log-probabilities (…, 2) of giving no mark and of giving it, from text logits (…, V) and marks (…)."""
    scores = logits.float()
    given = scores.gather(-1, marks[..., None])[..., 0] - scores.logsumexp(-1)
    given = given.clamp(max=CERTAIN)
    return torch.stack([(-given.expm1()).log(), given], -1)


def decisions(text: Tensor, special: SpecialTokens) -> tuple[Tensor, Tensor]:
    """Of a text channel (B, T), the mark (B, T − 1) that each frame but the first may give, and whether it does."""
    marks = torch.where(inside_turns(text, special)[:, :-1], special.eos, special.bos)
    return marks, text[:, 1:] == marks


def chosen(chances: Tensor, given: Tensor) -> Tensor:
    """The log-probability (…) of what was decided, from `log_chances` (…, 2)."""
    return torch.where(given, chances[..., 1], chances[..., 0])


class DrawnMarks:
    """Draws a session's decisions from their probabilities, for each conversation from its own seed.

    `log_probabilities` has those of each step's decisions, (rows,), in order.
    """

    def __init__(self, special: SpecialTokens, seeds: Sequence[int], device: torch.device) -> None:
        self._special, self._seeds = special, seeds
        self._speaking = torch.zeros(0, dtype=torch.bool, device=device)
        self._random = [torch.Generator() for _ in seeds]
        self.log_probabilities: list[Tensor] = []

    def __call__(self, logits: Tensor, user: Tensor, user_text: Tensor | None) -> Tensor:
        pad, bos, eos = self._special.pad, self._special.bos, self._special.eos
        marks = torch.where(self._speaking, eos, bos)
        chances = log_chances(logits, marks)
        draws = torch.ones(len(logits))  # a session's spare rows never give a mark
        draws[: len(self._random)] = torch.cat([torch.rand(1, generator=own) for own in self._random])
        given = draws.to(logits.device) < chances[:, 1].exp()
        self.log_probabilities.append(chosen(chances, given))

        tokens = torch.arange(logits.shape[-1], device=logits.device)
        words = (tokens != bos) & (tokens != eos)
        token = torch.where(given, marks, pad)
        left = torch.where((given | ~self._speaking)[:, None], tokens == token[:, None], words)
        self._speaking = self._speaking ^ given
        return logits.masked_fill(~left, -torch.inf)

    def reset(self, row: int) -> None:
        self._speaking[row] = False
        self._random[row].manual_seed(self._seeds[row])

    def seat(self, kept: list[int], rows: int) -> None:
        self._speaking = seated(self._speaking, kept, rows)


def grpo_loss(
    chances: Tensor,
    given: Tensor,
    before: Tensor,
    supervised: Tensor,
    advantages: Tensor,
    ratio_clip: float,
    kl_weight: float,
) -> tuple[Tensor, Tensor]:
    """GRPO's loss (arXiv 2402.03300), and the divergence from the supervised agent in it, summed over decisions.

    `chances` and the supervised agent's (B, T − 1, 2) are `log_chances` of the decisions `given`, which were drawn with
    the log-probabilities `before` (B, T − 1). The divergence is exact, since a decision has only two outcomes.
    """
    ratio = (chosen(chances, given) - before).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - ratio_clip, 1 + ratio_clip) * advantages)
    divergence = (chances.exp() * (chances - supervised)).sum()
    return kl_weight * divergence - gain.sum(), divergence.detach()
