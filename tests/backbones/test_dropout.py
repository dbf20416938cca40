"""The fast dropout is dropout."""

from __future__ import annotations

import pytest
import torch

from mltfr.kernels.dropout import Dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.83])
def test_rate_scale_and_independence(probability: float) -> None:
    torch.manual_seed(0)
    dropped = Dropout(probability)(torch.ones(400, 501))
    kept = dropped != 0
    assert abs(kept.double().mean().item() - (1 - probability)) < 0.005
    assert dropped[kept].unique().tolist() == pytest.approx([1 / (1 - probability)], rel=1e-4)
    both = (kept[:, 1:] & kept[:, :-1]).double().mean().item()  # neighbours share a 64-bit draw
    assert abs(both - (1 - probability) ** 2) < 0.005


@pytest.mark.parametrize("probability", [0.5, 0.2])
def test_no_element_knows_of_another_wherever_their_bits_stand(probability: float) -> None:
    torch.manual_seed(0)
    layer, count, draws = Dropout(probability), 62 * 3, 4000   # several words, each with all its places
    kept = torch.stack([layer(torch.ones(count)) != 0 for _ in range(draws)]).double()
    spread = (probability * (1 - probability) / draws) ** 0.5
    assert (kept.mean(0) - (1 - probability)).abs().max().item() < 5 * spread
    centred = kept - kept.mean(0)
    correlation = (centred.T @ centred / draws / (probability * (1 - probability))).fill_diagonal_(0)
    assert correlation.abs().max().item() < 6 / draws**0.5     # 17,205 pairs of elements
    later = (centred[1:] * centred[:-1]).mean(0) / (probability * (1 - probability))
    assert later.abs().max().item() < 5 / draws**0.5           # nor an element of the next call's


@pytest.mark.parametrize("probability", [0.4, 0.5])
def test_the_gradient_passes_where_the_value_did(probability: float) -> None:
    x = torch.ones(7, 9, requires_grad=True)  # 63 elements: not a whole number of draws
    dropped = Dropout(probability)(x)
    dropped.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, dropped.detach())


def test_a_large_tensor_takes_the_same_bits_and_keeps_less(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(60, 50, requires_grad=True)
    results, kept = [], []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.untyped_storage().nbytes())
        return tensor

    for large in (1, x.numel() + 1):
        monkeypatch.setattr("mltfr.kernels.dropout._LARGE", large)
        torch.manual_seed(0)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            dropped = Dropout(0.5)(x)
        results.append((dropped.detach(), *torch.autograd.grad(dropped, x, torch.ones(60, 50))))
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))
    assert kept[0] * 30 < kept[-1]


def test_it_follows_the_global_seed() -> None:
    x = torch.ones(50)
    torch.manual_seed(1)
    first = Dropout(0.5)(x)
    torch.manual_seed(1)
    assert torch.equal(Dropout(0.5)(x), first)
    assert not torch.equal(Dropout(0.5)(x), first)


def test_nothing_is_dropped_outside_training_nor_at_zero() -> None:
    x = torch.randn(50)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_views_and_low_precision() -> None:
    x = torch.ones(6, 8, dtype=torch.bfloat16).T
    dropped = Dropout(0.5)(x)
    assert dropped.dtype == torch.bfloat16
    assert set(dropped.unique().tolist()) <= {0.0, 2.0}
    assert Dropout(0.5)(torch.empty(0, 4)).shape == (0, 4)
