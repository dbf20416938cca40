from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mltfr.objectives.info_nce import info_nce


def by_loops(first, second, temperature, similarity):
    """The mean over all views of minus the log-probability of the partner, one pair at a time."""
    views = [*first, *second]
    size = len(first)

    def similar(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        if similarity == "cosine":
            dot /= math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
        return dot / temperature

    total = 0.0
    for one in range(2 * size):
        partner = one + size if one < size else one - size
        others = [math.exp(similar(views[one], views[j])) for j in range(2 * size) if j != one]
        total -= math.log(math.exp(similar(views[one], views[partner])) / sum(others))
    return total / (2 * size)


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_it_equals_explicit_loops(similarity, temperature, size):
    first, second = np.random.default_rng(0).normal(size=(2, size, 5))
    value = info_nce(torch.from_numpy(first), torch.from_numpy(second), temperature, similarity)
    assert value.item() == pytest.approx(by_loops(first.tolist(), second.tolist(), temperature, similarity), rel=1e-9)


def test_gradients_equal_finite_differences():
    first, second = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind()
    for similarity in ("dot", "cosine"):
        call = lambda a, b, s=similarity: info_nce(a, b, 0.7, s)  # noqa: E731
        assert torch.autograd.gradcheck(call, (first.requires_grad_(), second.requires_grad_()))


def test_large_similarities_do_not_overflow():
    states = 1e4 * torch.eye(6)
    assert info_nce(states[:3], states[3:], 0.01).isfinite()
    assert info_nce(states[:3], states[:3]).item() == pytest.approx(0, abs=1e-6)


def test_it_is_exact_under_autocast():
    first, second = torch.randn(2, 64, 8, generator=torch.Generator().manual_seed(0)).unbind()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(info_nce(first, second), info_nce(first, second))
        mixed = info_nce(first, second)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, info_nce(first, second))
