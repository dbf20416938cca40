"""FMLP-Rec's filter against numpy's transforms, and its block against explicit loops."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from mltfr.backbones.fmlp_rec import FMLPRec, FMLPRecBlock, FMLPRecConfig, LearnedFilter

HIDDEN = 6
Array = npt.NDArray[np.float64]


def _array(tensor: torch.Tensor) -> Array:
    return tensor.detach().double().numpy()


def _filtered(x: Array, layer: LearnedFilter, length: int) -> Array:
    """Return `irfft(W * rfft(window))` at the positions of `x` `[T, D]`."""
    window = np.zeros((length, x.shape[1]))
    window[length - len(x) :] = x
    real, imaginary = _array(layer.weight)
    spectrum = np.fft.rfft(window, axis=0, norm="ortho") * (real + 1j * imaginary)
    return np.fft.irfft(spectrum, n=length, axis=0, norm="ortho")[length - len(x) :]


@pytest.mark.parametrize("length", [1, 2, 7, 8])
@pytest.mark.parametrize("last", [None, 1, 3])
def test_the_filter_equals_the_transforms_of_numpy(length: int, last: int | None) -> None:
    torch.manual_seed(0)
    layer = LearnedFilter(length, HIDDEN)
    with torch.no_grad():
        layer.weight.normal_()
    for given in range(last or 1, length + 1):
        x = torch.randn(2, given, HIDDEN)
        wanted = np.stack([_filtered(_array(row), layer, length) for row in x])[:, -(last or given) :]
        np.testing.assert_allclose(_array(layer(x, last)), wanted, rtol=1e-4, atol=1e-5)


def test_the_weight_of_one_changes_nothing_and_a_phase_shifts() -> None:
    layer = LearnedFilter(8, 1)
    x = torch.randn(1, 8, 1)
    angle = -2 * math.pi * torch.arange(5) / 8
    with torch.no_grad():
        layer.weight[0], layer.weight[1] = 1, 0
        torch.testing.assert_close(layer(x), x)
        layer.weight[0], layer.weight[1] = angle.cos().unsqueeze(1), angle.sin().unsqueeze(1)
        torch.testing.assert_close(layer(x), x.roll(1, dims=1))


def _linear(x: Array, layer: torch.nn.Linear) -> Array:
    return np.array([sum(w * v for w, v in zip(row, x, strict=True)) for row in _array(layer.weight)]) + _array(
        layer.bias
    )


def _layer_norm(x: Array, layer: torch.nn.LayerNorm) -> Array:
    return (x - x.mean()) / math.sqrt(x.var() + 1e-12) * _array(layer.weight) + _array(layer.bias)


def _gelu(x: Array) -> Array:
    return np.array([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])


@pytest.mark.parametrize("last", [None, 1, 2])
def test_a_block_equals_explicit_loops(last: int | None) -> None:
    torch.manual_seed(0)
    length = 6
    block = FMLPRecBlock(length, HIDDEN, 3, 0.4).double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    x = torch.randn(2, 5, HIDDEN, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [False, False, True, True, True]])
    result = _array(block(x, mask, last))
    first, _, second = block.feed_forward.sublayer
    for batch in range(2):
        rows = _array(x[batch]) * mask[batch].numpy()[:, None]
        added = _filtered(rows, block.filter.sublayer, length)
        rows = [_layer_norm(row + change, block.filter.norm) for row, change in zip(rows, added, strict=True)]
        wanted = [_layer_norm(r + _linear(_gelu(_linear(r, first)), second), block.feed_forward.norm) for r in rows]
        np.testing.assert_allclose(result[batch], np.stack(wanted)[-(last or 5) :], rtol=1e-5, atol=1e-5)


def test_the_defaults_are_the_published_settings() -> None:
    config = FMLPRecConfig()
    assert (config.hidden, config.blocks, config.max_length, config.dropout, config.inner) == (64, 2, 50, 0.5, 4)
    torch.manual_seed(0)
    backbone = FMLPRec(config)
    for block in backbone.blocks:
        weight = block.filter.sublayer.weight
        assert weight.shape == (2, 26, 64)
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_the_saved_state_holds_parameters_only() -> None:
    backbone = FMLPRec(FMLPRecConfig())
    assert set(backbone.state_dict()) == {name for name, _ in backbone.named_parameters()}
