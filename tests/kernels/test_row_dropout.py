"""Dropout on the rows of a table."""

from __future__ import annotations

import pytest
import torch

from mltfr.kernels.row_dropout import RowDropout, RowMask

CPU = torch.device("cpu")
ROWS = torch.arange(4096)


@pytest.mark.parametrize("width", [1, 6, 64])
@pytest.mark.parametrize("probability", [0.2, 0.5, 0.9])
def test_share_and_scale(probability: float, width: int) -> None:
    mask = RowDropout(probability).draw(CPU)
    assert mask is not None
    dropped = mask(ROWS, torch.ones(len(ROWS), width))
    kept = dropped != 0
    assert torch.unique(dropped).tolist() == pytest.approx([0, 1 / (1 - probability)], rel=1e-3)
    error = (probability * (1 - probability)) ** 0.5
    assert kept.double().mean().item() == pytest.approx(1 - probability, abs=4 * error / kept.numel() ** 0.5)
    assert kept.double().mean(0).sub(1 - probability).abs().max().item() < 5 * error / len(ROWS) ** 0.5
    assert kept.double().mean(1).var().item() == pytest.approx(error**2 / width, rel=0.2)


def test_elements_are_independent_of_their_neighbours_and_of_other_seeds() -> None:
    first, second = (RowMask(torch.tensor(seed), 1 << 15)(ROWS, torch.ones(len(ROWS), 64)) - 1 for seed in (5, 6))
    bound = 5 / first.numel() ** 0.5
    for other in (first.roll(1, 0), first.roll(1, 1), first.roll(4, 1), second):
        assert abs((first * other).mean().item()) < bound


def test_a_row_has_one_mask_wherever_and_beside_whatever_it_is_read() -> None:
    dropout = RowDropout(0.5)
    mask = dropout.draw(CPU)
    assert mask is not None
    vectors = torch.randn(len(ROWS), 6)
    whole, some = mask(ROWS, vectors), torch.tensor([7, 7, 3, 4000])
    assert torch.equal(mask(some, vectors[some]), whole[some])
    another = dropout.draw(CPU)
    assert another is not None
    assert not torch.equal(another(ROWS, vectors), whole)


def test_the_mask_follows_from_torchs_seed_and_is_none_outside_training() -> None:
    dropout, found = RowDropout(0.3), []
    for _ in range(2):
        torch.manual_seed(3)
        mask = dropout.draw(CPU)
        assert mask is not None
        found.append(mask(ROWS, torch.ones(len(ROWS), 5)))
    assert torch.equal(*found)
    assert dropout.eval().draw(CPU) is None
    before = torch.get_rng_state()
    assert RowDropout(0.0).draw(CPU) is None
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_reach_what_is_kept() -> None:
    mask = RowDropout(0.5).draw(CPU)
    assert mask is not None
    vectors = torch.randn(len(ROWS), 3, requires_grad=True)
    dropped = mask(ROWS, vectors)
    torch.autograd.backward(dropped.sum())
    assert vectors.grad is not None
    torch.testing.assert_close(vectors.grad, 2 * (dropped != 0).float(), rtol=1e-3, atol=0)
