"""Gumbel noise from 16 bits is distributed as it should be."""

from __future__ import annotations

import math

import torch

from mltfr.fusion.gumbel import gumbel


def test_distribution_and_shape() -> None:
    torch.manual_seed(0)
    noise = gumbel(100, 3, 1001, device=torch.device("cpu"))
    assert noise.shape == (100, 3, 1001)
    assert noise.dtype == torch.float32
    assert torch.isfinite(noise).all()
    assert abs(noise.mean().item() - 0.5772) < 0.01
    assert abs(noise.std().item() - math.pi / 6**0.5) < 0.01
    for value in (-1.5, 0.0, 1.0, 4.0):
        assert abs((noise < value).float().mean().item() - math.exp(-math.exp(-value))) < 0.003


def test_it_follows_the_seed() -> None:
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(gumbel(5, 7, device=torch.device("cpu")))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
