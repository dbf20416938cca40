"""BSARec's frequency rescaler against a DFT summed term by term, and its block against its branches."""

from __future__ import annotations

import cmath

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from mltfr.backbones.attention import attention_bias
from mltfr.backbones.bsarec import BSARec, BSARecBlock, BSARecConfig, FrequencyRescaler
from mltfr.errors import ConfigError

HIDDEN = 4
Array = npt.NDArray[np.float64]


def _array(tensor: Tensor) -> Array:
    return tensor.detach().double().numpy()


def _rescaled(x: Array, root: Array, length: int, cutoff: int) -> Array:
    """Return the rescaled window at the positions of `x` `[T, D]`, by sums over all positive and negative k."""
    window = np.zeros((length, x.shape[1]))
    window[length - len(x) :] = x
    result = np.zeros_like(window)
    for channel in range(x.shape[1]):
        for n in range(length):
            value = 0j
            for k in range(length):
                frequency = min(k, length - k)  # k and length - k are one frequency with two signs
                factor = 1.0 if frequency <= cutoff // 2 else root[channel] ** 2
                for m in range(length):
                    value += factor * window[m, channel] * cmath.exp(2j * cmath.pi * k * (n - m) / length) / length
            assert abs(value.imag) < 1e-9
            result[n, channel] = value.real
    return result[length - len(x) :]


@pytest.mark.parametrize(("length", "cutoff"), [(2, 1), (7, 3), (8, 4), (8, 5), (9, 1)])
@pytest.mark.parametrize("last", [None, 1, 2])
def test_the_rescaler_equals_a_sum_over_frequencies(length: int, cutoff: int, last: int | None) -> None:
    torch.manual_seed(0)
    layer = FrequencyRescaler(length, HIDDEN, cutoff)
    for given in range(last or 1, length + 1):
        x = torch.randn(1, given, HIDDEN)
        wanted = _rescaled(_array(x[0]), _array(layer.root), length, cutoff)[-(last or given) :]
        np.testing.assert_allclose(_array(layer(x, last))[0], wanted, rtol=1e-4, atol=1e-5)


def test_a_factor_of_one_changes_nothing_and_zero_keeps_the_low_frequencies() -> None:
    layer = FrequencyRescaler(8, 1, 3)
    n = torch.arange(8)
    low = 2 + torch.cos(2 * torch.pi * n / 8)
    high = torch.sin(2 * torch.pi * 3 * n / 8)
    with torch.no_grad():
        x = (low + high).view(1, 8, 1)
        layer.root.fill_(-1)
        torch.testing.assert_close(layer(x), x)
        layer.root.zero_()
        torch.testing.assert_close(layer(x).flatten(), low)


def block_of(**settings: object) -> BSARecBlock:
    torch.manual_seed(0)
    config = BSARecConfig.parse({"hidden": HIDDEN, "max_length": 6, "cutoff": 3, "heads": 2, **settings})
    block = BSARecBlock(config).eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return block


@pytest.mark.parametrize("last", [None, 1, 2])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_a_block_mixes_the_normalised_branches(alpha: float, last: int | None) -> None:
    block = block_of(alpha=alpha)
    x = torch.randn(2, 5, HIDDEN)
    mask = torch.tensor([[True] * 5, [False, False, True, True, True]])
    bias = attention_bias(mask, causal=True)
    clean = x * mask.unsqueeze(-1)
    frequency = block.frequency.norm(clean + block.frequency.sublayer(clean))
    attention = block.attention.norm(clean + block.attention.sublayer(clean, bias))  # parity in test_transformer.py
    mixed = alpha * frequency + (1 - alpha) * attention
    wanted = block.feed_forward.norm(mixed + block.feed_forward.sublayer(mixed))
    result = block(x, (mask, bias), last)
    torch.testing.assert_close(result, wanted[:, -(last or 5) :], rtol=1e-4, atol=1e-5)


def test_only_the_frequency_branch_sees_later_items() -> None:
    x, mask = torch.randn(1, 5, HIDDEN), torch.ones(1, 5, dtype=torch.bool)
    changed = x.clone()
    changed[:, -1] += 1
    for alpha, sees in ((0.0, False), (1.0, True)):
        backbone = BSARec(BSARecConfig(hidden=HIDDEN, max_length=6, cutoff=3, alpha=alpha)).eval()
        before, after = (backbone.blocks[0](*backbone.encode_input(given, mask))[:, :-1] for given in (x, changed))
        assert torch.equal(before, after) is not sees


def test_the_defaults_are_the_published_settings() -> None:
    config = BSARecConfig()
    assert (config.hidden, config.blocks, config.max_length, config.dropout, config.inner) == (64, 2, 50, 0.5, 4)
    assert (config.alpha, config.cutoff, config.heads) == (0.7, 5, 1)
    items, published = 12_101, 878_208  # the parameter count in the published log of Amazon Beauty
    parameters = sum(parameter.numel() for parameter in BSARec(config).parameters())
    assert parameters + (items + 1) * config.hidden == published


def test_what_leaves_no_high_frequency_is_refused() -> None:
    assert BSARecConfig.parse({"cutoff": 49}).cutoff == 49
    with pytest.raises(ConfigError, match=r"cutoff is 50 and max_length is 50; all frequencies would be low\. Lower"):
        BSARecConfig.parse({"cutoff": 50})
    with pytest.raises(ConfigError, match="hidden is 64 and heads is 3"):
        BSARecConfig.parse({"heads": 3})


def test_the_saved_state_holds_parameters_only() -> None:
    backbone = BSARec(BSARecConfig())
    assert set(backbone.state_dict()) == {name for name, _ in backbone.named_parameters()}
