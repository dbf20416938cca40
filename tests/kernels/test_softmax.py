"""The softmax over few entries is torch's."""

from __future__ import annotations

import pytest
import torch

from mltfr.kernels.softmax import VECTORIZED_FROM as WIDE
from mltfr.kernels.softmax import log_softmax, softmax


@pytest.mark.parametrize("shape", [(5,), (7, 1), (7, 4), (3, 5, 2, 8), (2, 6, WIDE - 1), (2, 6, WIDE), (0, 4)])
@pytest.mark.parametrize("logarithm", [False, True])
def test_equals_torch(shape: tuple[int, ...], logarithm: bool) -> None:
    torch.manual_seed(0)
    scores = (10 * torch.randn(shape)).requires_grad_()
    weight = torch.randn(shape)
    ours, theirs = (log_softmax, torch.log_softmax) if logarithm else (softmax, torch.softmax)
    found = ours(scores), theirs(scores, -1)
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-6)
    gradients = [torch.autograd.grad(value, scores, weight)[0] for value in found]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)
    assert found[0].is_contiguous()


def test_what_is_forbidden_gets_nothing() -> None:
    scores = torch.tensor([[0.0, -torch.inf, 1.0], [-torch.inf, 2.0, -torch.inf]])
    weights = softmax(scores)
    assert torch.equal(weights == 0, scores == -torch.inf)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2))
