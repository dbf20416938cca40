"""Item dropout: one mask over the item vectors a step, for histories, candidates and further views alike."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from mltfr.backbones.sasrec import SASRec, SASRecConfig
from mltfr.losses import LOSSES, Loss
from mltfr.model import SequentialModel
from mltfr.objectives import Objective, ObjectiveConfig
from mltfr.training.batch import Batch
from mltfr.training.step import TrainingLoss

ITEMS, HIDDEN = 20, 8
VIEW = torch.tensor([[0, 4, 5], [3, 3, 9]])


class Watched(SASRec):
    """Notes the item vectors that it is given."""

    def __init__(self, item_dropout: float = 0.5) -> None:
        super().__init__(SASRecConfig(hidden=HIDDEN, max_length=6, dropout=0.0, item_dropout=item_dropout))
        self.given: list[Tensor] = []

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        self.given.append(items)
        return super().encode_input(items, mask)


class OneView(Objective):
    """Encodes one more view, and adds nothing."""

    def views(self, *_: object) -> tuple[()]:
        return ()

    def term(self, model: SequentialModel, last: Tensor, views: Sequence[Tensor], prepared: object = None) -> Tensor:
        for view in views:
            model.encode(view, 1, prepared)  # type: ignore[arg-type]
        return last.new_zeros(())


def make_loss(name: str) -> Loss:
    entry = LOSSES.get(name)
    return entry.cls(entry.config(name=name), torch.ones(ITEMS + 1, dtype=torch.int64))


def step(name: str, sparse: bool, item_dropout: float = 0.5) -> tuple[Watched, SequentialModel, TrainingLoss]:
    torch.manual_seed(0)
    backbone = Watched(item_dropout)
    model = SequentialModel(ITEMS, backbone)
    return backbone, model, TrainingLoss(model, make_loss(name), OneView(ObjectiveConfig(name="x"), ITEMS), sparse)


@pytest.mark.parametrize(("name", "sparse"), [("cross_entropy", False), ("bce", False), ("bce", True)])
def test_inputs_candidates_and_views_have_the_mask_of_their_step(
    name: str, sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, model, loss = step(name, sparse)
    candidates: list[Tensor] = []
    everything = torch.arange(ITEMS + 1)

    def by_lookup(hidden: Tensor, targets: Tensor, lookup: object) -> Tensor:
        candidates.append(lookup(everything))  # type: ignore[operator]
        return hidden.sum(1)

    def all_of_them(hidden: Tensor, targets: Tensor, items: Tensor) -> Tensor:
        candidates.append(items)
        return hidden.sum()

    monkeypatch.setattr(loss.loss, "by_lookup", by_lookup, raising=False)
    if name == "cross_entropy":
        monkeypatch.setattr(loss.loss, "forward", all_of_them)
    items = torch.tensor([[0, 1, 2], [3, 4, 5]])
    batch = Batch(items, torch.tensor([[0, 2, 3], [4, 5, 6]]), (VIEW,))
    kept = []
    for _ in range(2):
        backbone.given.clear()
        candidates.clear()
        loss(batch)
        (found,) = candidates
        scale = found / model.item_embedding.weight
        assert set(scale[1:].unique().round(decimals=3).tolist()) == {0.0, 2.0}
        batch_rows, view_rows = backbone.given
        assert torch.equal(batch_rows, found[items])
        assert torch.equal(view_rows, found[VIEW])
        kept.append(found != 0)
    assert not torch.equal(*kept)


def test_there_is_none_in_evaluation() -> None:
    _, model, _ = step("cross_entropy", sparse=False)
    model.eval()
    assert torch.equal(model.scoring_matrix(), model.item_embedding.weight)
    assert torch.equal(model.encode(VIEW), step("bce", False, item_dropout=0.0)[1].eval().encode(VIEW))
