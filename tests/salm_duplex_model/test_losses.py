"""The fused loss is torch's, value and gradients, whatever the chunks."""

import pytest
import torch
from torch.nn import functional as F

from salm_duplex_model.losses import linear_cross_entropy


def plain(hidden, weight, bias, labels):
    logits = F.linear(hidden, weight, bias).unflatten(-1, (labels.shape[1], -1))
    return F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="sum")


@pytest.mark.parametrize("chunk", [1, 200, 2**26])
@pytest.mark.parametrize("multiple", [1, 64])
@pytest.mark.parametrize(("groups", "biased"), [(1, False), (4, True)])
def test_loss_and_gradients_are_torch_s_in_chunks_of_any_size(monkeypatch, chunk, multiple, groups, biased):
    monkeypatch.setattr("salm_duplex_model.losses.CHUNK", chunk)
    monkeypatch.setattr("salm_duplex_model.losses.MULTIPLE", {"cpu": multiple})
    torch.manual_seed(0)
    inputs = [torch.randn(23, 16), torch.randn(groups * 11, 16), torch.randn(groups * 11) if biased else None]
    labels = torch.randint(0, 11, (23, groups))
    found = []
    for loss in (plain, linear_cross_entropy):
        own = [None if part is None else part.clone().requires_grad_() for part in inputs]
        value = loss(*own, labels)
        (3 * value).backward()
        found.append([value.detach(), *(part.grad for part in own if part is not None)])
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_what_is_frozen_gets_no_gradient_and_without_gradients_the_value_is_the_same():
    hidden, weight, labels = torch.randn(5, 8), torch.randn(6, 8, requires_grad=True), torch.zeros(5, 1, dtype=int)
    value = linear_cross_entropy(hidden, weight, None, labels)
    value.backward()
    assert hidden.grad is None and weight.grad is not None
    with torch.no_grad():
        assert torch.equal(linear_cross_entropy(hidden, weight, None, labels), value.detach())


def test_no_labels_give_a_loss_of_zero():
    weight = torch.randn(6, 8, requires_grad=True)
    value = linear_cross_entropy(torch.zeros(0, 8), weight, None, torch.zeros(0, 1, dtype=int))
    value.backward()
    assert float(value.detach()) == 0 and not weight.grad.any()
