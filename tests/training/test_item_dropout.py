"""Item dropout: one mask over the item vectors a step, for histories, candidates and further views alike."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from mltfr.backbones.sasrec import SASRec, SASRecConfig
from mltfr.fusion import FUSIONS, FusionInputs
from mltfr.fusion.base import Site
from mltfr.item_vectors import ItemVectors
from mltfr.losses import LOSSES, Loss
from mltfr.model import SequentialModel
from mltfr.name_path import NamePath
from mltfr.objectives import Objective, ObjectiveConfig
from mltfr.testing.toy import random_table
from mltfr.training.batch import Batch
from mltfr.training.config import TrainingConfig
from mltfr.training.cuda_graphs import can_capture
from mltfr.training.step import TrainingLoss

ITEMS, HIDDEN = 20, 8
TABLES = [random_table("alpha", 80, 12)]
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


@pytest.mark.parametrize(
    ("item_dropout", "named", "site", "captured"),
    [(0.5, True, 0, False), (0.0, True, 0, True), (0.5, False, 0, True), (0.5, True, "items", True)],
)
def test_a_step_that_looks_items_up_with_their_names_is_no_graph(
    item_dropout: float, named: bool, site: Site, captured: bool
) -> None:
    encoder, plugged = Watched(item_dropout), FUSIONS.get("mltfr")
    model = SequentialModel(ITEMS, encoder, plugged.cls(plugged.config(), FusionInputs(HIDDEN, True, TABLES)), site)
    if named:
        model.names = NamePath(torch.ones(ITEMS + 1, 4), ITEMS + 1, HIDDEN)
    entry = LOSSES.get("cross_entropy")
    loss = TrainingLoss(model, entry.cls(entry.config(), torch.ones(ITEMS + 1)))
    assert can_capture(loss, TrainingConfig(), torch.device("cuda")) is captured
    looked_up: list[int] = []
    vectors_of = ItemVectors._changed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ItemVectors, "_changed", lambda *a: looked_up.append(len(a[1])) or vectors_of(*a))
        loss.train()(Batch(torch.tensor([[1, 2, 3]]), torch.tensor([[4]])))
    assert all(rows == ITEMS + 1 for rows in looked_up) is captured
