"""The contract of a loss: inherit `LossContract` in a test file and name the loss."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.func import grad, vmap

from mltfr.losses import LOSSES, Loss

ITEMS = 12
HIDDEN = 5
POSITIONS = 9
Batch = tuple[Tensor, Tensor, Tensor]


class LossContract:
    """What every loss must satisfy. A subclass sets `name`, and `settings` where it needs some.

    A loss that samples draws from torch's global generator, of the CPU here; every evaluation starts from one seed.
    """

    name: ClassVar[str]
    """Registered name of the loss."""
    settings: ClassVar[dict[str, Any]] = {}
    """Its settings."""

    def build(self) -> Loss:
        entry = LOSSES.get(self.name)
        counts = torch.cat([torch.zeros(1), torch.arange(1, ITEMS + 1).flip(0)]).long()
        return entry.cls(entry.config.model_validate({"name": self.name, **self.settings}), counts)

    @pytest.fixture
    def loss(self) -> Loss:
        return self.build()

    @pytest.fixture
    def batch(self) -> Batch:
        """Hidden states `[P, D]`, targets `[P]` and item vectors `[I + 1, D]`, in float64."""
        generator = torch.Generator().manual_seed(4)
        hidden = torch.randn(POSITIONS, HIDDEN, generator=generator, dtype=torch.float64)
        targets = torch.randint(1, ITEMS + 1, (POSITIONS,), generator=generator)
        items = torch.randn(ITEMS + 1, HIDDEN, generator=generator, dtype=torch.float64)
        return hidden.requires_grad_(), targets, items.requires_grad_()

    def evaluate(self, loss: Loss, hidden: Tensor, targets: Tensor, items: Tensor, seed: int = 7) -> Tensor:
        """Return the mean loss under one seed."""
        _seed(seed)
        return loss(hidden, targets, items)

    def test_the_mean_is_that_of_the_positions(self, loss: Loss, batch: Batch) -> None:
        mean = self.evaluate(loss, *batch)
        _seed()
        each = loss.per_position(*batch)
        assert mean.shape == ()
        assert each.shape == (POSITIONS,)
        torch.testing.assert_close(mean, each.mean())

    def test_gradients_are_those_of_the_positions(self, loss: Loss, batch: Batch) -> None:
        hidden, _, items = batch
        fused = torch.autograd.grad(3 * self.evaluate(loss, *batch), (hidden, items))
        _seed()
        plain = torch.autograd.grad(3 * loss.per_position(*batch).mean(), (hidden, items))
        torch.testing.assert_close(fused, plain)

    def test_gradients_equal_finite_differences(self, loss: Loss, batch: Batch) -> None:
        hidden, targets, items = batch
        assert torch.autograd.gradcheck(lambda h, w: self.evaluate(loss, h, targets, w), (hidden, items))

    def test_positions_that_do_not_count(self, loss: Loss, batch: Batch) -> None:
        hidden, targets, items = batch
        whole = self.evaluate(loss, *batch)
        _seed()
        assert torch.allclose(loss(hidden, targets, items, torch.ones_like(hidden[:, 0])), whole)
        weight = (torch.arange(POSITIONS) % 3 > 0).to(hidden.dtype)
        some = targets * weight.long()
        _seed()
        expected = loss.per_position(hidden, targets, items)[weight > 0].mean()
        _seed()
        value = loss(hidden, some, items, weight)
        torch.testing.assert_close(value, expected)
        found = torch.autograd.grad(value, (hidden, items))
        torch.testing.assert_close(found, torch.autograd.grad(expected, (hidden, items)))
        assert (found[0][weight == 0] == 0).all()
        assert not loss(hidden, 0 * some, items, 0 * weight).isnan()

    def test_padding_is_no_candidate(self, loss: Loss, batch: Batch) -> None:
        hidden, targets, items = batch
        for seed in range(50):
            value = self.evaluate(loss, hidden, targets, items, seed)
            gradient = torch.autograd.grad(value, items)[0]
            planted = torch.cat([torch.full_like(items[:1], 1e6), items[1:]])
            assert (gradient[0] == 0).all()
            torch.testing.assert_close(self.evaluate(loss, hidden, targets, planted, seed), value)

    def test_every_item_is_a_candidate(self, loss: Loss, batch: Batch) -> None:
        hidden, targets, items = batch
        reached = torch.zeros(ITEMS + 1, dtype=torch.bool)
        for seed in range(100):
            value = self.evaluate(loss, hidden[:1], targets[:1], items, seed)
            reached |= (torch.autograd.grad(value, items)[0] != 0).any(1)
        assert reached[1:].all()

    def test_a_higher_target_score_lowers_the_loss(self, loss: Loss, batch: Batch) -> None:
        hidden, targets, items = (tensor.detach() for tensor in batch)
        for position in range(POSITIONS):
            h, target = hidden[position : position + 1], targets[position : position + 1]
            raised = items.clone()
            raised[target] += 0.5 * h
            assert self.evaluate(loss, h, target, raised) < self.evaluate(loss, h, target, items)

    def test_only_scores_count(self, loss: Loss, batch: Batch) -> None:
        hidden, targets, items = (tensor.detach() for tensor in batch)
        rotation = torch.linalg.qr(torch.randn(HIDDEN, HIDDEN, dtype=torch.float64)).Q
        rotated = self.evaluate(loss, hidden @ rotation, targets, items @ rotation)
        torch.testing.assert_close(rotated, self.evaluate(loss, hidden, targets, items))

    def test_one_seed_gives_one_value(self, loss: Loss, batch: Batch) -> None:
        assert torch.equal(self.evaluate(loss, *batch), self.evaluate(loss, *batch))
        assert torch.equal(self.evaluate(loss, *batch), self.evaluate(self.build(), *batch))

    def test_large_scores_stay_finite(self, loss: Loss, batch: Batch) -> None:
        hidden, targets, items = batch
        value = self.evaluate(loss, 1e3 * hidden.float(), targets, items.float())
        gradients = torch.autograd.grad(value, (hidden, items))
        assert torch.isfinite(value)
        assert all(torch.isfinite(gradient).all() for gradient in gradients)

    def test_it_has_no_state_to_save(self, loss: Loss) -> None:
        assert not loss.state_dict()
        assert not list(loss.parameters())

    def test_per_example_gradients_by_vmap(self, loss: Loss, batch: Batch) -> None:
        hidden, targets, items = (tensor.detach() for tensor in batch)

        def example(h: Tensor, target: Tensor) -> Tensor:
            return loss.per_position(h.unsqueeze(0), target.unsqueeze(0), items).sum()

        gradients = vmap(grad(example), randomness="different")(hidden, targets)
        assert gradients.shape == hidden.shape
        assert torch.isfinite(gradients).all()
        assert (gradients != 0).any(1).all()


def _seed(seed: int = 7) -> None:
    """Seed the CPU's generator; `torch.manual_seed` seeds every device, which takes longer than most of the losses."""
    torch.default_generator.manual_seed(seed)
