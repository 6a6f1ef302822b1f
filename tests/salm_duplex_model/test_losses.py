"""The fused loss equals torch's, in value and gradients, for any chunk size."""

import pytest
import torch
from torch.nn import functional as F

from manifests.text_channel import SpecialTokens
from salm_duplex_model.channels import text_label_weights
from salm_duplex_model.config import TokenWeights
from salm_duplex_model.losses import linear_cross_entropy


def plain(hidden, weight, bias, labels, errors=None, label_weights=None):
    logits = F.linear(hidden, weight, bias).unflatten(-1, (labels.shape[1], -1))
    each = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="none")
    return (each if label_weights is None else each * label_weights.flatten()).sum()


@pytest.mark.parametrize("chunk", [1, 200, 2**26])
@pytest.mark.parametrize("multiple", [1, 64])
@pytest.mark.parametrize(("groups", "biased"), [(1, False), (4, True)])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradients_are_torch_s_in_chunks_of_any_size(monkeypatch, chunk, multiple, groups, biased, weighted):
    monkeypatch.setattr("salm_duplex_model.losses.CHUNK", chunk)
    monkeypatch.setattr("salm_duplex_model.losses.MULTIPLE", {"cpu": multiple})
    torch.manual_seed(0)
    inputs = [torch.randn(23, 16), torch.randn(groups * 11, 16), torch.randn(groups * 11) if biased else None]
    labels = torch.randint(0, 11, (23, groups))
    label_weights = torch.rand(23, groups) if weighted else None
    found = []
    for loss in (plain, linear_cross_entropy):
        own = [None if part is None else part.clone().requires_grad_() for part in inputs]
        value = loss(*own, labels, label_weights=label_weights)
        (3 * value).backward()
        found.append([value.detach(), *(part.grad for part in own if part is not None)])
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_frozen_weights_get_no_gradient_and_without_gradients_the_value_is_the_same():
    hidden, weight, labels = torch.randn(5, 8), torch.randn(6, 8, requires_grad=True), torch.zeros(5, 1, dtype=int)
    value = linear_cross_entropy(hidden, weight, None, labels)
    value.backward()
    assert hidden.grad is None and weight.grad is not None
    with torch.no_grad():
        assert torch.equal(linear_cross_entropy(hidden, weight, None, labels), value.detach())


def test_without_labels_the_loss_is_zero():
    weight = torch.randn(6, 8, requires_grad=True)
    value = linear_cross_entropy(torch.zeros(0, 8), weight, None, torch.zeros(0, 1, dtype=int))
    value.backward()
    assert float(value.detach()) == 0 and not weight.grad.any()


def test_weights_of_one_change_nothing_and_weights_by_token_are_those_of_torch():
    torch.manual_seed(1)
    hidden, weight, labels = torch.randn(40, 8), torch.randn(11, 8, requires_grad=True), torch.randint(0, 11, (40, 1))
    by_token = 9 * torch.rand(11)
    expected = F.cross_entropy(hidden @ weight.T, labels[:, 0], weight=by_token, reduction="sum")
    found = linear_cross_entropy(hidden, weight, None, labels, label_weights=by_token[labels])
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(loss, weight)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)
    plain_loss = linear_cross_entropy(hidden, weight, None, labels)
    ones = linear_cross_entropy(hidden, weight, None, labels, label_weights=torch.ones(40, 1))
    assert torch.equal(ones, plain_loss)
    assert torch.equal(*(torch.autograd.grad(loss, weight)[0] for loss in (ones, plain_loss)))
    with torch.no_grad():
        half = linear_cross_entropy(hidden, weight, None, labels, label_weights=torch.full((40, 1), 0.5))
    torch.testing.assert_close(2 * half, plain_loss)


def test_a_text_label_s_weight_goes_by_its_kind_and_pad_s_by_whether_a_turn_is_open():
    special = SpecialTokens(pad=0, bos=1, eos=2)
    weights = TokenWeights(pad=0.25, inside=0.5, bos=10, eos=4, text=2)
    text = torch.tensor([
        [0, 1, 7, 8, 0, 0, 2, 0, 1, 0],
        [7, 0, 2, 0, 1, 7, 1, 0, 2, 2],
    ])  # fmt: skip
    found = text_label_weights(text, special, weights)
    assert found.tolist() == [
        [0.25, 10, 2, 2, 0.5, 0.5, 4, 0.25, 10, 0.5],
        [2, 0.25, 4, 0.25, 10, 2, 10, 0.5, 4, 4],
    ]
    assert text_label_weights(text, special, TokenWeights()) is None
