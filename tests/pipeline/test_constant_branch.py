"""The constant branch: a fitted network with the mean of its correction in place of the correction."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mltfr import Recommender
from mltfr.fusion.constant import ConstantFusion
from mltfr.interactions import Histories, evenly_spaced
from mltfr.pipeline.constant_branch import constant_branch, with_constant_delta
from mltfr.pipeline.models import BlendModel
from mltfr.training import Callback
from support.walks import as_log, rows, walks

LOG = as_log(rows(walks()))
SETTINGS = (
    "backbone.hidden=16", "backbone.max_length=10", "training.batch_size=32", "fusion.filter.shortlist=16",
    "fusion.filter.keep=4", "tokens.width=8", "fusion.consensus_weight=0",
)  # fmt: skip


def fit(backbone: str = "sasrec", fusion: str = "mltfr", *more: str) -> Recommender:
    settings = SETTINGS if fusion == "mltfr" else SETTINGS[:3]
    tokens = ["synthetic"] if fusion == "mltfr" else None
    recommender = Recommender(backbone, fusion=fusion, tokens=tokens, epochs=2, settings=(*settings, *more))
    return recommender.fit(LOG, callback=Callback())


@pytest.fixture(scope="module", params=["sasrec", "bert4rec"])
def fitted(request: pytest.FixtureRequest) -> Recommender:
    return fit(request.param)


def test_it_adds_the_mean_of_what_the_fusion_adds(fitted: Recommender) -> None:
    model, histories = fitted.fitted.model, fitted.fitted.split.train_histories()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = with_constant_delta(model, histories)
    total, count = torch.zeros(16, dtype=torch.float64), 0
    for history in histories:  # one at a time, without padding
        codes = torch.tensor(np.array(history)[-10:][None].astype(np.int64))
        if model.mask_token is not None:
            codes = torch.cat([codes[:, -9:], torch.full((1, 1), model.mask_token)], dim=1)
        with torch.no_grad():
            delta = model.fusion(*model.fusion_inputs(codes))
        total += delta.sum((0, 1)).double()
        count += codes.shape[1]
    assert isinstance(other.fusion, ConstantFusion)
    torch.testing.assert_close(other.fusion.output.detach(), (total / count).float(), rtol=1e-4, atol=1e-6)
    assert other.fusion.output.abs().max() > 0
    assert model.fusion is not other.fusion
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    shared = dict(other.named_parameters())
    assert all(shared[name] is value for name, value in model.named_parameters() if not name.startswith("fusion."))


def test_of_many_histories_it_reads_some_from_the_first_to_the_last(
    fitted: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, histories = fitted.fitted.model, fitted.fitted.split.train_histories()
    some = Histories.from_sequences([histories[row].tolist() for row in evenly_spaced(len(histories), 40)])
    expected = with_constant_delta(model, some)
    monkeypatch.setattr("mltfr.pipeline.constant_branch.HISTORIES", 40)
    torch.testing.assert_close(with_constant_delta(model, histories).fusion.output, expected.fusion.output)


def test_it_stands_beside_the_validation_score_and_in_the_verdict(fitted: Recommender) -> None:
    found, verdict = fitted.metrics["validation"], fitted.fitted.verdict
    assert set(found["constant_branch"]) == set(found["metrics"])
    assert verdict.branches.constant.score == found["constant_branch"]["ndcg@10"]
    by_hand = found["metrics"]["ndcg@10"] - found["constant_branch"]["ndcg@10"]
    assert verdict.branches.constant.difference == pytest.approx(by_hand)


def test_a_correction_that_is_constant_loses_nothing(fitted: Recommender) -> None:
    constant = with_constant_delta(fitted.fitted.model, fitted.fitted.split.train_histories())
    again = with_constant_delta(constant, fitted.fitted.split.train_histories())
    torch.testing.assert_close(again.fusion.output, constant.fusion.output, rtol=1e-5, atol=1e-6)


def test_where_items_are_corrected_all_of_them_get_the_mean() -> None:
    model = fit("sasrec", "mltfr", "fusion.site=items").fitted
    other = constant_branch(model.model, model.split.train_histories())
    with torch.no_grad():
        moved = other.item_vectors(whole=True).all() - model.model.item_embedding.weight
        own = model.model.item_vectors(whole=True).all() - model.model.item_embedding.weight
    torch.testing.assert_close(moved[1:], other.fusion.output.detach().expand_as(moved[1:]), rtol=1e-4, atol=1e-6)
    assert not moved[0].any()
    assert own[1:].std(0).max() > 1e-6, "the correction is the same for all items"
    assert own[1:].min(0).values.le(moved[1]).all()
    assert own[1:].max(0).values.ge(moved[1]).all()
    assert model.verdict.branches.constant is not None


def test_of_a_blend_it_is_that_of_its_members(fitted: Recommender) -> None:
    model, histories = fitted.fitted.model, fitted.fitted.split.train_histories()
    bare = fit("sasrec", "none").fitted.model
    blend = constant_branch(BlendModel([model, bare], torch.tensor([0.5, 0.5])), histories)
    assert isinstance(blend.members[0].fusion, ConstantFusion)
    assert blend.members[1] is bare
    assert constant_branch(BlendModel([bare, bare], torch.tensor([0.5, 0.5])), histories) is None


@pytest.mark.parametrize("fusion", ["none", "constant"])
def test_without_content_there_is_nothing_to_replace(fusion: str) -> None:
    fitted = fit("sasrec", fusion)
    assert fitted.fitted.constant_branch() is None
    assert "constant_branch" not in fitted.metrics["validation"]
    branches = fitted.fitted.verdict.branches
    assert branches is None if fusion == "none" else branches.constant is None
