"""Cross entropy of a linear head without the logits of all positions in memory."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 2**26
"""Approximate number of logits in memory at once."""

MULTIPLE = {"cuda": 64}
"""A group of a head's outputs is padded to a multiple of this: matrix products of odd sizes take several times as
long."""

_COLUMNS = 8
"""Columns are added by this number, so that matrices keep the alignment that fast products need."""

Errors = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    errors: Errors | None = None,
    label_weights: Tensor | None = None,
) -> Tensor:
    """The sum over all labels of the cross entropy of `hidden @ weight.T + bias`, float32.

    `hidden` (N, width), `labels` (N, K): the head has K groups of V outputs, and `weight` is (K · V, width).
    `label_weights`, float32 (N, K), multiply each label's term. `errors` is `softmax_errors`, possibly compiled.
    Logits are computed chunk by chunk, together with their gradients, so nothing of their size is stored for the
    backward pass or recomputed in it."""
    errors = errors or softmax_errors
    if not torch.is_grad_enabled():
        with torch.no_grad():
            return _walk(hidden, weight, bias, labels, errors, label_weights, (False, False, False))[0]
    loss: Tensor = _LinearCrossEntropy.apply(hidden, weight, bias, labels, errors, label_weights)  # type: ignore[no-untyped-call]
    return loss


def softmax_errors(logits: Tensor, labels: Tensor, label_weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Logits (N, K, V), labels (N, K) and their weights (N, K) → the summed cross entropy, and its gradient with
    respect to the logits, in their dtype."""
    scores = logits.float().log_softmax(-1)
    at_label = labels[..., None]
    each = -scores.gather(-1, at_label)[..., 0]
    if torch.compiler.is_compiling():  # fused into one pass over the logits
        gradient = scores.exp() - (torch.arange(logits.shape[-1], device=logits.device) == at_label).float()
    else:  # in place: at the size of logits, allocating memory takes longer than arithmetic
        gradient = scores.exp_().scatter_add_(-1, at_label, scores.new_full(at_label.shape, -1))
    if label_weights is not None:
        each, gradient = each * label_weights, gradient * label_weights[..., None]
    return each.sum(), gradient.to(logits.dtype)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        errors: Errors,
        label_weights: Tensor | None,
    ) -> Tensor:
        loss, *gradients = _walk(hidden, weight, bias, labels, errors, label_weights, ctx.needs_input_grad[:3])
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        scaled = (None if own is None else own * upstream[0].to(own.dtype) for own in ctx.saved_tensors)
        return (*scaled, None, None, None)


def _walk(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    errors: Errors,
    label_weights: Tensor | None,
    wanted: tuple[bool, ...],
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The loss and its gradients with respect to hidden states, weight and bias; only those `wanted` are computed."""
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
    made = partial(torch.zeros, dtype=torch.float32, device=weight.device)
    loss = made(())
    to_hidden = torch.empty_like(hidden) if wanted[0] else None
    groups = labels.shape[1]
    outputs = len(weight) // groups
    padding = -outputs % MULTIPLE.get(kind, 1)
    with torch.autocast(kind, enabled=False):
        used, offset = weight.to(dtype), None if bias is None else bias.to(dtype)
        if padding:
            used = F.pad(used.view(groups, outputs, -1), (0, 0, 0, padding)).flatten(0, 1)
            offset = used.new_zeros(groups * outputs) if offset is None else offset
            # An output this small has a probability and a gradient of zero.
            offset = F.pad(offset.view(groups, outputs), (0, padding), value=-1e4).flatten()
        # A column of ones next to the states makes the bias's gradient a part of the weight's matrix product: a sum over
        # the gradients of all logits takes as long as the softmax.
        ones = 0 if bias is None else _COLUMNS
        to_both = made((len(used), used.shape[1] + ones)) if any(wanted[1:]) else None
        rows = max(1, CHUNK // len(used))
        for first in range(0, len(hidden), rows):
            here = slice(first, first + rows)
            states = hidden[here].to(dtype)
            logits = F.linear(states, used, offset).view(len(states), groups, -1)
            own, gradient = errors(logits, labels[here], None if label_weights is None else label_weights[here])
            loss += own
            gradient = gradient.flatten(1)
            if to_hidden is not None:
                to_hidden[here] = (gradient @ used).to(hidden.dtype)
            if to_both is not None:
                to_both += gradient.T @ (F.pad(states, (0, ones), value=1) if ones else states)

    if to_both is None:
        return loss, to_hidden, None, None
    both = to_both.view(groups, -1, to_both.shape[1])[:, :outputs].flatten(0, 1).to(weight.dtype)
    width = weight.shape[1]
    return loss, to_hidden, both[:, :width] if wanted[1] else None, both[:, width] if wanted[2] else None
