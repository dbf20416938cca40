"""The gated residual and SwiGLU against plain formulas."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from mltfr.backbones.attention import attention_bias
from mltfr.backbones.ligr import GatedResidual, LiGR, LiGRBlock, LiGRConfig, SwiGLU

HIDDEN = 4


def _randomised(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return module


def _linear(x: np.ndarray, layer: nn.Linear) -> np.ndarray:
    bias = 0.0 if layer.bias is None else layer.bias.detach().numpy()
    return np.array([sum(w * v for w, v in zip(row, x, strict=True)) for row in layer.weight.detach().numpy()]) + bias


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.array([1 / (1 + math.exp(-v)) for v in x])


def _layer_norm(x: np.ndarray, layer: nn.LayerNorm) -> np.ndarray:
    return (x - x.mean()) / math.sqrt(x.var()) * layer.weight.detach().numpy() + layer.bias.detach().numpy()


def _swiglu(x: np.ndarray, layer: SwiGLU) -> np.ndarray:
    joint = _linear(x, layer.gate_value)
    gate, value = joint[: len(joint) // 2], joint[len(joint) // 2 :]
    return _linear(gate * _sigmoid(gate) * value, layer.output)


def test_swiglu_behind_a_gated_residual_equals_explicit_loops() -> None:
    layer = _randomised(GatedResidual(SwiGLU(HIDDEN, 3 * HIDDEN, 0.3), HIDDEN, 0.3))
    x = torch.randn(2, 3, HIDDEN, dtype=torch.float64)
    result = layer(x).detach().numpy()
    for place in np.ndindex(2, 3):
        row = x[place].numpy()
        changed = _swiglu(_layer_norm(row, layer.norm), layer.sublayer)
        np.testing.assert_allclose(result[place], row + changed * _sigmoid(_linear(row, layer.gate)), rtol=1e-9)


def test_a_block_gates_its_attention_by_its_own_input() -> None:
    block = _randomised(LiGRBlock(LiGRConfig(hidden=HIDDEN, heads=2, inner=2)))
    x = torch.randn(2, 3, HIDDEN, dtype=torch.float64)
    bias = attention_bias(torch.ones(2, 3, dtype=torch.bool), causal=True)
    attention = block.attention
    read = attention.sublayer(attention.norm(x), bias).detach().numpy()
    result = attention(x, bias).detach().numpy()
    for place in np.ndindex(2, 3):
        gate = _sigmoid(_linear(x[place].numpy(), attention.gate))
        np.testing.assert_allclose(result[place], x[place].numpy() + read[place] * gate, rtol=1e-9)
    torch.testing.assert_close(block(x, bias), block.feed_forward(attention(x, bias)))


def test_a_closed_gate_lets_nothing_through() -> None:
    layer = _randomised(GatedResidual(SwiGLU(HIDDEN, HIDDEN, 0.0), HIDDEN, 0.0))
    with torch.no_grad():
        layer.gate.weight.zero_()
        layer.gate.bias.fill_(-1e4)
    x = torch.randn(1, 3, HIDDEN, dtype=torch.float64)
    assert torch.equal(layer(x), x)


def test_the_feed_forward_net_has_no_biases() -> None:
    names = {name for name, _ in LiGR(LiGRConfig(blocks=1)).blocks[0].feed_forward.sublayer.named_parameters()}
    assert names == {"gate_value.weight", "output.weight"}
