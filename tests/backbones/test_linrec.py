"""Linear attention against explicit sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mltfr.backbones.linrec import KeyNorm, LinearAttention

HIDDEN, HEADS = 6, 2
WIDTH = HIDDEN // HEADS


def _layer(key_norm: KeyNorm = "column") -> LinearAttention:
    torch.manual_seed(0)
    layer = LinearAttention(HIDDEN, HEADS, key_norm).double().eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return layer


def _linear(x: np.ndarray, layer: torch.nn.Linear) -> np.ndarray:
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return np.array([sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(weight, bias, strict=True)])


def _elu(x: np.ndarray) -> np.ndarray:
    return np.array([v if v > 0 else math.exp(v) - 1 for v in x])


def _attention(rows: np.ndarray, layer: LinearAttention) -> np.ndarray:
    """Return what every position of one user's history, without padding, reads."""
    queries = [_elu(_linear(row, layer.query)) for row in rows]
    keys = [_elu(_linear(row, layer.key_value)[:HIDDEN]) for row in rows]
    values = [_linear(row, layer.key_value)[HIDDEN:] for row in rows]
    outputs = []
    for query in queries:
        mixed = np.zeros(HIDDEN)
        for head in range(HEADS):
            part = range(head * WIDTH, (head + 1) * WIDTH)
            row_norm = math.sqrt(sum(query[i] ** 2 for i in part))
            for key, value in zip(keys, values, strict=True):
                weight = 0.0
                for i in part:
                    column = [other[i] for other in keys]
                    normed = column if layer.key_norm == "column" else [key[j] for j in part]
                    weight += query[i] / row_norm * key[i] / math.sqrt(sum(v**2 for v in normed))
                for i in part:
                    mixed[i] += weight * value[i] / math.sqrt(WIDTH)
        outputs.append(_linear(mixed, layer.output))
    return np.stack(outputs)


@pytest.mark.parametrize("length", [2, 9])  # the products are taken in either order
@pytest.mark.parametrize("last", [None, 1])
@pytest.mark.parametrize("key_norm", ["column", "row"])
def test_attention_equals_explicit_loops_of_each_users_history(
    length: int, last: int | None, key_norm: KeyNorm
) -> None:
    layer = _layer(key_norm)
    x = torch.randn(2, length + 2, HIDDEN, dtype=torch.float64)
    mask = torch.ones(2, length + 2, 1, dtype=torch.float64)
    mask[1, :2] = 0
    result = layer(x, mask, last).detach().numpy()
    for user, padding in ((0, 0), (1, 2)):
        wanted = _attention(x[user, padding:].numpy(), layer)[-last if last else 0 :]
        np.testing.assert_allclose(result[user, -len(wanted) :], wanted, rtol=1e-9)


@pytest.mark.parametrize("key_norm", ["column", "row"])
def test_a_history_of_padding_only_has_finite_gradients(key_norm: KeyNorm) -> None:
    layer = _layer(key_norm)
    x = torch.zeros(1, 3, HIDDEN, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        layer.query.bias.zero_()
    layer(x, torch.zeros(1, 3, 1, dtype=torch.float64)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
