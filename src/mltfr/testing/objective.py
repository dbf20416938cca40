"""The contract of an objective: inherit `ObjectiveContract` in a test file and name the objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from mltfr.backbones.sasrec import SASRec, SASRecConfig
from mltfr.fusion import Fusion
from mltfr.interactions import Histories
from mltfr.interactions.collate import Codes
from mltfr.item_vectors import ItemVectors
from mltfr.losses.cross_entropy import CrossEntropy, CrossEntropyConfig
from mltfr.model import Prepared, SequentialModel
from mltfr.objectives import OBJECTIVES, Objective
from mltfr.training.batch import Batch
from mltfr.training.samples import PrefixSamples, Samples, WindowSamples, make_batch
from mltfr.training.step import TrainingLoss

ITEMS = 15
HIDDEN = 16
MAX_LENGTH = 8
KINDS: Mapping[str, Callable[[Histories], Samples]] = {
    "prefixes": lambda histories: PrefixSamples(histories, MAX_LENGTH),
    "windows": lambda histories: WindowSamples(histories, MAX_LENGTH, 3),
    "positions": lambda histories: WindowSamples(histories, MAX_LENGTH, MAX_LENGTH),
}


class ObjectiveContract:
    """What every objective must satisfy. A subclass sets `name`, and `settings` where it needs some."""

    name: ClassVar[str]
    """Registered name of the objective."""
    settings: ClassVar[dict[str, Any]] = {}
    """Its settings."""

    def build(self, **more: Any) -> Objective:
        entry = OBJECTIVES.get(self.name)
        return entry.cls(entry.config.model_validate({"name": self.name, **self.settings, **more}), ITEMS)

    def model(self, objective: Objective, dropout: float = 0.0, fusion: Fusion | None = None) -> SequentialModel:
        """Return a model whose parameters are away from their start."""
        torch.manual_seed(5)
        backbone = SASRec(SASRecConfig(hidden=HIDDEN, max_length=MAX_LENGTH, dropout=dropout))
        model = SequentialModel(ITEMS, backbone, fusion, hides_items=objective.hides_items)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape))
            model.item_embedding.weight[0] = 0
        return model

    def training_loss(self, objective: Objective, dropout: float = 0.0) -> TrainingLoss:
        loss = CrossEntropy(CrossEntropyConfig(), torch.ones(ITEMS + 1))
        return TrainingLoss(self.model(objective, dropout), loss, objective).train()

    @pytest.fixture(params=KINDS)
    def samples(self, request: pytest.FixtureRequest) -> Samples:
        """Samples of histories of 2 to 12 items, so that some sequences hold a single item and some are windows."""
        random = np.random.default_rng(3)
        histories = [random.integers(1, ITEMS + 1, random.integers(2, 13)).tolist() for _ in range(12)]
        return KINDS[request.param](Histories.from_sequences([*histories, [1, 2], [3, 2]]))

    def batch(self, objective: Objective, samples: Samples, seed: int = 7) -> Batch:
        """Return all samples as one batch with its views."""
        return make_batch(samples, objective, np.arange(len(samples)), np.random.default_rng(seed))

    def views(self, objective: Objective, samples: Samples, seed: int = 7) -> tuple[Codes, ...]:
        return objective.views(samples, np.arange(len(samples)), np.random.default_rng(seed))

    def term(self, objective: Objective, model: SequentialModel, batch: Batch) -> Tensor:
        return objective.term(model, model.encode(batch.items, last=1)[:, -1], batch.views)

    def test_views_are_right_aligned_sequences_of_known_codes(self, samples: Samples) -> None:
        objective = self.build()
        views = self.views(objective, samples)
        assert views
        for view in views:
            assert view.dtype == np.int64
            assert view.shape[0] == len(samples)
            assert view.shape[1] <= MAX_LENGTH
            assert view.min() >= 0
            assert view.max() <= ITEMS + int(objective.hides_items)
            assert (view[:, -1] > 0).all(), "a view is empty, or padded behind"
            assert (np.diff((view > 0).astype(int), axis=1) >= 0).all(), "padding stands between items"
            assert ((view > 0) & (view <= ITEMS)).any(axis=1).all(), "a view hides every item"

    def test_views_leave_the_data_alone(self, samples: Samples) -> None:
        before = samples.items.copy()
        self.views(self.build(), samples)
        assert np.array_equal(samples.items, before)

    def test_views_follow_from_the_seed(self, samples: Samples) -> None:
        first, again = (self.views(self.build(), samples) for _ in range(2))
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))

    def test_the_term_is_finite_and_positive(self, samples: Samples) -> None:
        objective = self.build()
        value = self.term(objective, self.model(objective), self.batch(objective, samples))
        assert value.shape == ()
        assert value.isfinite()
        assert value > 0

    def test_it_is_added_to_the_loss(self, samples: Samples) -> None:
        objective = self.build()
        loss, batch = self.training_loss(objective), self.batch(objective, samples)
        alone = loss(replace(batch, views=()))
        term = self.term(objective, loss.model, batch)
        torch.testing.assert_close(loss(batch), alone + term)

    def test_views_have_the_item_vectors_of_the_step(self, samples: Samples) -> None:
        objective = self.build()
        model, batch = self.model(objective), self.batch(objective, samples)
        last = model.encode(batch.items, last=1)[:, -1]
        step = Prepared(ItemVectors(model.item_embedding, [lambda codes, vectors: 0 * vectors]))
        with_its_own = objective.term(model, last, batch.views)
        assert not torch.equal(objective.term(model, last, batch.views, step), with_its_own)

    def test_gradients_reach_the_encoder(self, samples: Samples) -> None:
        objective = self.build()
        model = self.model(objective)
        self.term(objective, model, self.batch(objective, samples)).backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name
        assert model.item_embedding.weight.grad is not None
        assert (model.item_embedding.weight.grad[0] == 0).all()

    def test_the_order_of_the_batch_does_not_matter(self, samples: Samples) -> None:
        objective = self.build()
        model, batch = self.model(objective), self.batch(objective, samples)
        order = torch.randperm(len(batch.items), generator=torch.Generator().manual_seed(0))
        turned = Batch(batch.items[order], batch.targets[order], tuple(view[order] for view in batch.views))
        torch.testing.assert_close(self.term(objective, model, turned), self.term(objective, model, batch))

    def test_padding_in_front_changes_nothing(self, samples: Samples) -> None:
        objective = self.build()
        model, batch = self.model(objective), self.batch(objective, samples)
        padded = tuple(
            torch.cat([view.new_zeros(len(view), MAX_LENGTH - view.shape[1]), view], 1) for view in batch.views
        )
        other = Batch(batch.items, batch.targets, padded)
        torch.testing.assert_close(self.term(objective, model, other), self.term(objective, model, batch))

    def test_without_weight_it_is_the_plain_loss_to_the_bit(self, samples: Samples) -> None:
        objective = self.build(weight=0)
        batch = self.batch(objective, samples)
        assert batch.views == ()
        loss, plain = (self.training_loss(objective, dropout=0.3) for _ in range(2))
        plain.objective = None
        losses = []
        for one in (loss, plain):
            torch.manual_seed(1)
            losses.append(one(batch))
        assert torch.equal(*losses)

    def test_it_runs_in_bfloat16(self, samples: Samples) -> None:
        objective = self.build()
        model, batch = self.model(objective), self.batch(objective, samples)
        exact = self.term(objective, model, batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = self.term(objective, model, batch)
        torch.testing.assert_close(mixed.float(), exact, rtol=0.1, atol=0.05)
