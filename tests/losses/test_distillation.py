"""The distillation term: its formula, by plain torch over all logits."""

from __future__ import annotations

import pytest
import torch

from mltfr.losses.distillation import Distillation, DistillationConfig

ITEMS, HIDDEN, POSITIONS, TOP = 30, 6, 11, 4


def made_up(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hidden states, item vectors, and a teacher's items and their probabilities."""
    torch.manual_seed(seed)
    hidden = torch.randn(POSITIONS, HIDDEN, dtype=torch.float64, requires_grad=True)
    items = torch.randn(ITEMS + 1, HIDDEN, dtype=torch.float64, requires_grad=True)
    shares, columns = torch.randn(POSITIONS, ITEMS, dtype=torch.float64).softmax(1).topk(TOP, 1)
    return hidden, items, columns + 1, shares / shares.sum(1, keepdim=True)


def by_hand(hidden, items, codes, shares, temperature, keep=None):
    log_probability = (hidden @ items[1:].T / temperature).log_softmax(1)
    losses = -temperature**2 * (shares * log_probability.gather(1, codes - 1)).sum(1)
    return losses.mean() if keep is None else losses[keep].mean()


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_the_loss_and_its_gradients_are_the_formulas(temperature: float, weight: float) -> None:
    loss = Distillation(DistillationConfig(weight=weight, temperature=temperature))
    hidden, items, codes, shares = made_up()
    other = hidden.square().mean()
    found = loss(other, hidden, items, codes, shares)
    expected = (1 - weight) * other + weight * by_hand(hidden, items, codes, shares, temperature)
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad(found, (hidden, items), retain_graph=True)
    for own, theirs in zip(gradients, torch.autograd.grad(expected, (hidden, items)), strict=True):
        torch.testing.assert_close(own, theirs)


def test_positions_without_a_target_count_for_nothing() -> None:
    loss = Distillation(DistillationConfig(weight=1.0, temperature=2.0))
    hidden, items, codes, shares = made_up()
    weight = torch.ones(POSITIONS, dtype=torch.float64)
    weight[[2, 7]] = 0
    found = loss.soft(hidden, items, codes, shares, weight)
    torch.testing.assert_close(found, by_hand(hidden, items, codes, shares, 2.0, weight > 0))
    gradient = torch.autograd.grad(found, hidden)[0]
    assert gradient[[2, 7]].abs().max() == 0


def test_it_is_least_where_the_model_agrees_with_the_teacher() -> None:
    """A model that can say all q learns q."""
    q = torch.tensor([[0.6, 0.3, 0.1]])
    codes = torch.tensor([[2, 4, 1]])
    hidden, items = torch.tensor([[1.0]]), torch.zeros(6, 1, requires_grad=True)
    optimizer = torch.optim.Adam([items], lr=0.1)
    loss = Distillation(DistillationConfig(weight=1.0))
    for _ in range(400):
        optimizer.zero_grad()
        loss.soft(hidden, items, codes, q).backward()
        optimizer.step()
    found = (hidden @ items[1:].T).softmax(1)[0]
    assert found[[1, 3, 0]].tolist() == pytest.approx(q[0].tolist(), abs=0.02)
