"""A transduction unit against equations 1 to 3, one pair of positions at a time."""

from __future__ import annotations

import math

import numpy as np
import torch

from mltfr.backbones.hstu import HSTU, HSTUConfig, TransductionUnit

HIDDEN, HEADS, MAX_LENGTH = 6, 2, 8


def _unit() -> TransductionUnit:
    torch.manual_seed(0)
    unit = TransductionUnit(HIDDEN, HEADS, MAX_LENGTH, 0.3).double().eval()
    with torch.no_grad():
        for parameter in unit.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return unit


def _linear(x: np.ndarray, layer: torch.nn.Linear) -> np.ndarray:
    bias = 0.0 if layer.bias is None else layer.bias.detach().numpy()
    return np.array([sum(w * v for w, v in zip(row, x, strict=True)) for row in layer.weight.detach().numpy()]) + bias


def _silu(x: np.ndarray) -> np.ndarray:
    return np.array([v / (1 + math.exp(-v)) for v in x])


def _norm(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / math.sqrt(x.var() + 1e-6)


def _run(rows: np.ndarray, unit: TransductionUnit) -> np.ndarray:
    """Return the unit's output for one history without padding."""
    gate_query = [_silu(_linear(_norm(row), unit.gate_query)) for row in rows]
    value_key = [_silu(_linear(_norm(row), unit.value_key)) for row in rows]
    width = HIDDEN // HEADS
    outputs = []
    for i, row in enumerate(rows):
        gate, query = gate_query[i][:HIDDEN], gate_query[i][HIDDEN:]
        mixed = np.zeros(HIDDEN)
        for j in range(i + 1):
            value, key = value_key[j][:HIDDEN], value_key[j][HIDDEN:]
            for head in range(HEADS):
                part = slice(head * width, (head + 1) * width)
                score = query[part] @ key[part] + unit.distance_bias[i - j].item()
                mixed[part] += score / (1 + math.exp(-score)) / MAX_LENGTH * value[part]
        outputs.append(row + _linear(_norm(mixed) * gate, unit.output))
    return np.stack(outputs)


def test_a_unit_equals_explicit_loops() -> None:
    unit = _unit()
    x = torch.randn(2, 5, HIDDEN, dtype=torch.float64)
    mask = torch.tensor([[1.0] * 5, [0, 0, 1, 1, 1]]).double().unsqueeze(-1)
    result = unit(x, mask).detach().numpy()
    np.testing.assert_allclose(result[0], _run(x[0].numpy(), unit), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(result[1, 2:], _run(x[1, 2:].numpy(), unit), rtol=1e-9, atol=1e-9)


def test_later_positions_weigh_exactly_nothing_and_pass_no_gradient() -> None:
    bias = _unit().bias(3).float()
    weights = torch.nn.functional.silu(bias + 1e6)
    assert (weights.triu(1) == 0).all()
    assert (weights.tril() != 0).sum() == 6
    x = torch.randn(1, 4, HIDDEN, dtype=torch.float64, requires_grad=True)
    _unit()(x, torch.ones(1, 4, 1, dtype=torch.float64))[:, :2].sum().backward()
    assert x.grad is not None
    assert (x.grad[:, 2:] == 0).all()
    assert x.grad.isfinite().all()


def test_the_divisor_is_the_longest_length_whatever_the_batch_has() -> None:
    unit = _unit()
    with torch.no_grad():
        unit.output.weight.copy_(torch.eye(HIDDEN))
    x = torch.randn(1, 3, HIDDEN, dtype=torch.float64)
    alone = unit(x, torch.ones(1, 3, 1, dtype=torch.float64))
    padded = torch.cat([torch.randn(1, 4, HIDDEN, dtype=torch.float64), x], dim=1)
    mask = torch.tensor([0.0] * 4 + [1.0] * 3).double().view(1, 7, 1)
    torch.testing.assert_close(unit(padded, mask)[:, 4:], alone)


def test_initial_values_are_those_of_the_authors_code() -> None:
    backbone = HSTU(HSTUConfig())
    unit = backbone.blocks[0]
    assert abs(unit.value_key.weight.std().item() - 0.02) < 0.002
    assert abs(unit.gate_query.weight.std().item() - 0.02) < 0.002
    assert abs(unit.output.weight.std().item() - (2 / 128) ** 0.5) < 0.01
    assert abs(backbone.positions.vectors.std().item() - 1 / 8) < 0.01
    assert unit.value_key.bias is None
