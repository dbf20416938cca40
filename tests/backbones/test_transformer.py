"""The transformer parts against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mltfr.backbones.attention import attention_bias
from mltfr.backbones.transformer import Positions, TransformerBlock

HIDDEN, HEADS = 6, 2


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def _linear(x: np.ndarray, layer: torch.nn.Linear) -> np.ndarray:
    return np.array([sum(w * v for w, v in zip(row, x, strict=True)) for row in _array(layer.weight)]) + _array(
        layer.bias
    )


def _layer_norm(x: np.ndarray, layer: torch.nn.LayerNorm) -> np.ndarray:
    return (x - x.mean()) / math.sqrt(x.var() + 1e-12) * _array(layer.weight) + _array(layer.bias)


def _gelu(x: np.ndarray) -> np.ndarray:
    return np.array([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])


def _relu(x: np.ndarray) -> np.ndarray:
    return np.array([max(v, 0.0) for v in x])


def _attention(rows: list[np.ndarray], mask: np.ndarray, layer, causal: bool) -> list[np.ndarray]:
    width = HIDDEN // HEADS
    joint = [_linear(row, layer.query_key_value) for row in rows]
    outputs = []
    for i in range(len(rows)):
        mixed = np.zeros(HIDDEN)
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)
            query = joint[i][:HIDDEN][part]
            seen = [j for j in range(len(rows)) if j == i or (mask[j] and (j < i or not causal))]
            exponentials = [math.exp(query @ joint[j][HIDDEN : 2 * HIDDEN][part] / math.sqrt(width)) for j in seen]
            for j, value in zip(seen, exponentials, strict=True):
                mixed[part] += value / sum(exponentials) * joint[j][2 * HIDDEN :][part]
        outputs.append(_linear(mixed, layer.output))
    return outputs


def _block(rows: list[np.ndarray], mask: np.ndarray, block, norm: str, activation, causal: bool) -> np.ndarray:
    attention, forward = block.attention, block.feed_forward
    first, _, second = forward.sublayer
    if norm == "post":
        read = _attention(rows, mask, attention.sublayer, causal)
        rows = [_layer_norm(x + y, attention.norm) for x, y in zip(rows, read, strict=True)]
        return np.stack(
            [_layer_norm(x + _linear(activation(_linear(x, first)), second), forward.norm) for x in rows]
        )
    read = _attention([_layer_norm(x, attention.norm) for x in rows], mask, attention.sublayer, causal)
    rows = [x + y for x, y in zip(rows, read, strict=True)]
    return np.stack(
        [x + _linear(activation(_linear(_layer_norm(x, forward.norm), first)), second) for x in rows]
    )


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    ("norm", "activation", "plain"), [("post", "gelu", _gelu), ("pre", "relu", _relu), ("pre", "gelu", _gelu)]
)
def test_a_block_equals_explicit_loops(causal: bool, norm, activation, plain) -> None:
    torch.manual_seed(0)
    block = TransformerBlock(HIDDEN, HEADS, 3, 0.4, activation, norm).double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    x = torch.randn(2, 5, HIDDEN, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [False, False, True, True, True]])
    result = _array(block(x, attention_bias(mask, causal)))
    for batch in range(2):
        wanted = _block(list(_array(x[batch])), mask[batch].numpy(), block, norm, plain, causal)
        np.testing.assert_allclose(result[batch], wanted, rtol=1e-9, atol=1e-9)


def test_the_bias_hides_padding_and_the_future_but_never_oneself() -> None:
    hidden = float("-inf")
    bias = attention_bias(torch.tensor([[False, True, True]]), causal=True)
    assert bias.tolist() == [[[[0, hidden, hidden], [hidden, 0, hidden], [hidden, 0, 0]]]]
    bias = attention_bias(torch.tensor([[False, True, True]]), causal=False)
    assert bias.tolist() == [[[[0, 0, 0], [hidden, 0, 0], [hidden, 0, 0]]]]


def test_positions_are_counted_from_the_newest_item() -> None:
    positions = Positions(4, 3)
    assert torch.equal(positions(torch.zeros(1, 2, 3))[0], positions.vectors[2:])
