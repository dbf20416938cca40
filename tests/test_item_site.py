"""A fusion whose site is the items: what it adds to their vectors is there as input, as candidate, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mltfr.backbones import BACKBONES
from mltfr.errors import ConfigError
from mltfr.fusion import FUSIONS, Fusion, FusionInputs
from mltfr.inference import ModelScorer
from mltfr.interactions import Histories
from mltfr.losses import LOSSES
from mltfr.losses.distillation import Distillation, DistillationConfig
from mltfr.pipeline import resolve
from mltfr.pipeline.models import NeuralModel
from mltfr.testing.toy import random_table
from mltfr.training import TrainingConfig
from mltfr.training.batch import Batch
from mltfr.training.checkpoint import TrainerState
from mltfr.training.distributed import ProcessGroup
from mltfr.training.loop import Round
from mltfr.training.samples import make_samples
from mltfr.training.step import TrainingLoss
from mltfr.training.teacher import Teacher, row_type

ITEMS, HIDDEN, LENGTH = 20, 16, 6
HISTORIES = [np.array(codes, np.int32) for codes in ([1, 2, 3], [7], [4, 19, 8, 9])]
CODES = torch.tensor([[0, 1, 2, 3], [4, 19, 8, 9]])


class Twice(Fusion):
    """Adds twice what is there, but for what is no item."""

    corrects_items = True
    needs_tables = False

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        self.rows.append(x.shape[1])
        return 2 * x


def build(fusion: Fusion | None, backbone: str = "sasrec", **more: Any) -> NeuralModel:
    torch.manual_seed(0)
    entry = BACKBONES.get(backbone)
    config = entry.config(name=backbone, hidden=HIDDEN, max_length=LENGTH, dropout=0.0)
    return NeuralModel(ITEMS, entry.cls(config), fusion, "items" if fusion is not None else 0, **more).eval()


def mltfr(**settings: Any) -> Fusion:
    """Return the method, its output moved away from zero, without chance in it."""
    entry = FUSIONS.get("mltfr")
    given = {"filter": {"shortlist": 16, "keep": 4, "noise": 0.0}, "dropout": 0.0, "site": "items", **settings}
    tables = [random_table("a"), random_table("b", 40)]
    fusion = entry.cls(entry.config.model_validate({"name": "mltfr", **given}), FusionInputs(HIDDEN, True, tables, 1))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return fusion


def make_loss(name: str) -> Any:
    entry = LOSSES.get(name)
    return entry.cls(entry.config(name=name), torch.ones(ITEMS + 1, dtype=torch.int64))


def tripled(backbone: str, **more: Any) -> NeuralModel:
    """Return the bare model with item vectors three times as long; what is no item has its own."""
    bare = build(None, backbone, **more)
    with torch.no_grad():
        bare.item_embedding.weight[1 : ITEMS + 1] *= 3
    return bare


@pytest.mark.parametrize(("backbone", "more"), [("sasrec", {}), ("sasrec", {"hides_items": True}), ("bert4rec", {})])
def test_an_item_has_one_vector_as_input_and_as_candidate(backbone: str, more: dict[str, Any]) -> None:
    model, wanted = build(Twice(), backbone, **more), tripled(backbone, **more)
    codes = CODES.clone()
    if more:
        codes[:, 2] = ITEMS + 1  # the hidden item
    torch.testing.assert_close(model.encode(codes), wanted.encode(codes))
    torch.testing.assert_close(model.user_embedding(CODES), wanted.user_embedding(CODES))
    torch.testing.assert_close(model.scoring_matrix(), wanted.scoring_matrix())
    torch.testing.assert_close(model.score_weights(CODES), wanted.score_weights(CODES))
    scorers = [ModelScorer(each) for each in (model, wanted)]
    scores = [scorer.scores(scorer.queries(HISTORIES), 1, ITEMS + 1) for scorer in scorers]
    torch.testing.assert_close(*scores)


def test_the_zero_branch_is_the_bare_backbone() -> None:
    model, bare = build(Twice()), build(None)
    assert torch.equal(model.encode(CODES, fused=False), bare.encode(CODES))
    found, expected = model.zero_branch(), ModelScorer(bare)
    assert torch.equal(*(each.scores(each.queries(HISTORIES), 1, ITEMS + 1) for each in (found, expected)))


def test_all_items_are_corrected_once_for_all_requests() -> None:
    fusion = Twice()
    scorer = ModelScorer(build(fusion))
    for _ in range(3):
        scorer.scores(scorer.queries(HISTORIES), 1, ITEMS + 1)
    assert fusion.rows == [ITEMS + 1]


def test_similar_items_are_those_of_the_corrected_vectors() -> None:
    model = build(mltfr())
    vectors = model.scoring_matrix()[1:]
    expected = torch.cosine_similarity(vectors[4], vectors, dim=-1)
    torch.testing.assert_close(model.item_similarity(torch.tensor([5]))[0], expected.detach())
    assert not torch.allclose(expected, build(None).item_similarity(torch.tensor([5]))[0], atol=0.01)


def test_requests_for_similar_items_correct_the_items_once_until_a_weight_changes() -> None:
    fusion = Twice()
    model = build(fusion)
    first, again = (model.item_similarity(torch.tensor([5])) for _ in range(2))
    assert torch.equal(first, again)
    assert fusion.rows == [ITEMS + 1]
    with torch.no_grad():
        model.item_embedding.weight[3] *= -1
    torch.testing.assert_close(model.item_similarity(torch.tensor([5]))[0, 2], -first[0, 2])
    assert fusion.rows == [ITEMS + 1] * 2


@pytest.mark.parametrize("name", ["bce", "sampled_softmax"])
def test_a_loss_with_negatives_corrects_the_rows_of_its_step_alone(name: str) -> None:
    batch = Batch(torch.tensor([[0, 1, 2], [3, 4, 2]]), torch.tensor([[0, 2, 3], [4, 2, 7]]))
    found = []
    for by_lookup, sparse in ((False, False), (True, False), (True, True)):
        model = build(mltfr())
        loss = TrainingLoss(model, make_loss(name), None, sparse)
        assert loss.by_lookup
        loss.by_lookup = by_lookup
        torch.manual_seed(2)
        value = loss(batch)
        torch.autograd.backward(value)
        gradients = {n: p.grad.to_dense() for n, p in model.named_parameters() if p.grad is not None}
        found.append((value, gradients))
    for value, gradients in found[1:]:
        torch.testing.assert_close(value, found[0][0])
        for parameter, gradient in gradients.items():
            close = {"rtol": 1e-4, "atol": 1e-6 * max(1.0, float(gradient.abs().max()))}
            torch.testing.assert_close(gradient, found[0][1][parameter], **close, msg=parameter)
    assert found[0][1].keys() == found[1][1].keys()


def test_a_teacher_reads_all_items_so_none_is_looked_up() -> None:
    teacher = Teacher(np.empty(0, row_type(2)), Distillation(DistillationConfig()))
    assert not TrainingLoss(build(mltfr()), make_loss("bce"), teacher=teacher).by_lookup


def test_in_a_step_over_all_items_each_is_corrected_once() -> None:
    fusion = Twice()
    loss = TrainingLoss(build(fusion), make_loss("cross_entropy"))
    loss(Batch(CODES, CODES.roll(-1, 1)))
    assert fusion.rows == [ITEMS + 1]


def test_shortlists_are_chosen_by_items_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    fusion = mltfr()
    model = build(fusion)
    asked: list[tuple[Tensor, ...]] = []
    monkeypatch.setattr(fusion, "refresh", lambda items, unseen: asked.extend(items))
    config = TrainingConfig(device="cpu", batch_size=8)
    samples = make_samples(config, model, Histories.from_sequences([[1, 2, 3, 4]] * 3))
    group = ProcessGroup(torch.device("cpu"), 1)
    Round(
        group, TrainingLoss(model, make_loss("cross_entropy")), samples, dict, config,
        epochs=1, state=TrainerState(), seed=0,
    )._refresh()  # fmt: skip
    x = torch.cat([each for each, *_ in asked])
    assert x.shape == (ITEMS, 1, HIDDEN)
    assert all(mask.all() for _, mask, _ in asked)
    rows = (x == model.item_embedding.weight).all(-1).nonzero()[:, 1]
    assert sorted(rows.tolist()) == list(range(1, ITEMS + 1))
    assert rows.tolist() != sorted(rows.tolist())


def test_an_item_keeps_the_tokens_nearest_to_its_vector() -> None:
    fusion: Any = mltfr()
    model = build(fusion)
    kept, weights = fusion.kept_tokens(*model.fusion_inputs(CODES))["a"]
    tokens = fusion.filters.of("a").tokens(fusion.filters.of("a").shortlist.vectors)
    query = torch.nn.functional.normalize(fusion.project(model.item_embedding.weight[19]), dim=-1)
    best = (query @ tokens.T).topk(4).indices
    assert set(kept[1, 1].tolist()) == set(fusion.filters.of("a").shortlist.ids[best].tolist())
    assert weights[1, 1].sum().item() == pytest.approx(1)


@pytest.mark.parametrize("fusion", ["none", "mltfr-reference", "random-reference"])
def test_a_fusion_without_a_meaning_for_items_is_refused(fusion: str) -> None:
    tokens = [] if fusion == "none" else ["a"]
    preset = "default" if fusion == "none" else "reference"
    with pytest.raises(ConfigError, match=rf"which fusion '{fusion}' does not\. Set fusion\.site to a block"):
        resolve(fusion=fusion, tokens=tokens, preset=preset, overrides=["fusion.site=items"])


@pytest.mark.parametrize("setting", ["granularity=sequence", "query=exponential"])
def test_what_is_about_histories_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="is about histories, and with site = 'items' every item asks for itself"):
        resolve(tokens=["a"], overrides=["fusion.site=items", f"fusion.filter.{setting}"])


@pytest.mark.parametrize("site", ["item", "-2", "1.5", "true"])
def test_another_site_is_one_line(site: str) -> None:
    with pytest.raises(ConfigError, match=r"site: .*number of a block, -1 for the last one, or 'items'") as caught:
        resolve(tokens=["a"], overrides=[f"fusion.site={site}"])
    assert "\n" not in str(caught.value)
    assert "more)" not in str(caught.value)


def test_all_settings_of_a_run_come_back(tmp_path: Path) -> None:
    config = resolve(tokens=["a"], overrides=["fusion.site=items"])
    assert config.fusion.site == "items"
    assert type(config).parse(config.model_dump(mode="json")).fusion.site == "items"
