"""Negative sampling and the losses that use it, against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding

from mltfr.errors import ConfigError
from mltfr.kernels import plain_twins
from mltfr.kernels.gathered import ONE_BY_ONE
from mltfr.losses import LOSSES
from mltfr.losses.bce import BCE, BCEConfig
from mltfr.losses.bpr import BPR, BPRConfig
from mltfr.losses.gbce import GBCE, GBCEConfig
from mltfr.losses.negatives import NegativeSampler, uniform_negatives
from mltfr.losses.sampled_softmax import SampledSoftmax, SampledSoftmaxConfig

ITEMS, HIDDEN = 40, 6
COUNTS = torch.cat([torch.zeros(1), torch.arange(ITEMS)]).long()  # item 1 was never seen


def batch(positions: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    targets = torch.randint(1, ITEMS + 1, (positions,))
    return torch.randn(positions, HIDDEN), targets, torch.randn(ITEMS + 1, HIDDEN)


def frequencies(codes: Tensor) -> Tensor:
    return torch.bincount(codes, minlength=ITEMS + 1).double() / len(codes)


@pytest.mark.parametrize("alpha", [0.0, 0.75, 1.0])
def test_the_sampler_draws_what_it_says(alpha: float) -> None:
    torch.manual_seed(0)
    sampler = NegativeSampler(COUNTS, alpha)
    weights = COUNTS[1:].double().clamp_min(1) ** alpha
    wanted = torch.cat([torch.zeros(1), weights / weights.sum()]).double()
    torch.testing.assert_close(sampler.log_probability.exp().double(), wanted, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(frequencies(sampler(400_000)), wanted, rtol=0, atol=1.5e-3)


def test_uniform_negatives_are_all_items_but_the_target() -> None:
    torch.manual_seed(0)
    targets = torch.tensor([1, 17, ITEMS])
    drawn = uniform_negatives(targets, 200_000, ITEMS)
    for row, target in zip(drawn, targets, strict=True):
        wanted = torch.full((ITEMS + 1,), 1 / (ITEMS - 1), dtype=torch.float64)
        wanted[[0, int(target)]] = 0
        torch.testing.assert_close(frequencies(row), wanted, rtol=0, atol=1.5e-3)


def test_a_target_that_is_not_excluded_is_drawn_as_any_other_item() -> None:
    torch.manual_seed(0)
    drawn = uniform_negatives(torch.tensor([1, ITEMS]), 200_000, ITEMS, exclude_target=False)
    wanted = torch.cat([torch.zeros(1), torch.full((ITEMS,), 1 / ITEMS)]).double()
    for row in drawn:
        torch.testing.assert_close(frequencies(row), wanted, rtol=0, atol=1.5e-3)


@pytest.mark.parametrize("name", ["bce", "bpr", "gbce", "sampled_softmax"])
def test_one_item_leaves_no_negative(name: str) -> None:
    entry = LOSSES.get(name)
    with pytest.raises(ConfigError, match=r"The log has 1 item\(s\), and a loss with negatives needs at least 2"):
        entry.cls(entry.config(name=name), torch.tensor([0, 5]))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
def test_the_sampled_sum_is_the_full_one_on_average(sampling: str, shared: bool) -> None:
    hidden, targets, items = batch(5)
    config = SampledSoftmaxConfig(negatives=7, sampling=sampling, shared=shared)
    loss = SampledSoftmax(config, COUNTS)
    target = (hidden * items[targets]).sum(1)
    draws = torch.stack([(loss.per_position(hidden, targets, items) + target).exp() for _ in range(5_000)])
    full = (hidden @ items[1:].T).exp().sum(1)
    error = draws.double().std(0) / math.sqrt(len(draws))
    assert ((draws.double().mean(0) - full).abs() < 4 * error).all()


@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
def test_many_negatives_give_the_full_cross_entropy(sampling: str) -> None:
    hidden, targets, items = batch(5)
    loss = SampledSoftmax(SampledSoftmaxConfig(negatives=400_000, sampling=sampling), COUNTS)
    wanted = cross_entropy(hidden @ items[1:].T, targets - 1, reduction="none")
    torch.testing.assert_close(loss.per_position(hidden, targets, items), wanted, rtol=0, atol=0.02)


def test_an_accidental_hit_is_no_negative() -> None:
    hidden, _, items = batch(1)
    counts = torch.tensor([0, 10**15, 1])
    loss = SampledSoftmax(SampledSoftmaxConfig(negatives=4, sampling="popularity", alpha=1.0), counts)
    assert loss.per_position(hidden, torch.tensor([1]), items[:3]).item() == 0


def test_an_accidental_hit_is_no_negative_however_low_the_target_scores() -> None:
    config = SampledSoftmaxConfig(negatives=4, sampling="popularity", alpha=1.0)
    loss = SampledSoftmax(config, torch.tensor([0, 10**15, 1]))  # draws item 1 alone
    items = torch.tensor([[0.0], [1e6], [0.0]])
    assert loss.per_position(torch.tensor([[-1e6]]), torch.tensor([1]), items).item() == 0


def test_log_q_can_be_left_out() -> None:
    hidden, targets, items = batch(5)
    loss = SampledSoftmax(SampledSoftmaxConfig(negatives=9, log_q=False), COUNTS)
    torch.manual_seed(3)
    drawn = loss.sampler(9)
    torch.manual_seed(3)
    value = loss.per_position(hidden, targets, items)
    for position, target in enumerate(targets):
        candidates = [int(target), *(int(code) for code in drawn if code != target)]
        scores = items[candidates] @ hidden[position]
        assert value[position].item() == pytest.approx(-scores.log_softmax(0)[0].item(), rel=1e-5)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("exclude", [True, False])
def test_own_negatives_and_hits_on_the_target(shared: bool, exclude: bool) -> None:
    hidden, targets, items = batch(6)
    negatives = 60  # of 40 items, so that targets are hit
    config = SampledSoftmaxConfig(negatives=negatives, shared=shared, exclude_target=exclude, log_q=False)
    loss = SampledSoftmax(config, COUNTS)
    torch.manual_seed(3)
    drawn = loss.sampler(negatives).expand(6, -1) if shared else loss.sampler(6 * negatives).view(6, negatives)
    assert (drawn == targets.unsqueeze(1)).any()
    torch.manual_seed(3)
    value = loss.per_position(hidden, targets, items)
    for position, target in enumerate(targets.tolist()):
        others = [code for code in drawn[position].tolist() if code != target or not exclude]
        scores = items[[target, *others]] @ hidden[position]
        assert value[position].item() == pytest.approx(-scores.log_softmax(0)[0].item(), rel=1e-5)


def test_a_loss_with_one_kind_of_negatives_says_what_it_draws() -> None:
    hidden, targets, items = batch(6)
    torch.manual_seed(3)
    drawn = uniform_negatives(targets, 30, ITEMS, exclude_target=False)
    assert (drawn == targets.unsqueeze(1)).any()
    score = (hidden * items[targets]).sum(1, keepdim=True)                          # [P, 1]
    negative = (hidden.unsqueeze(1) * items[drawn]).sum(2)                          # [P, n]
    bce = -(score.sigmoid().log() + (1 - negative.sigmoid()).log().sum(1, keepdim=True)).squeeze(1)
    bpr = -(score - negative).sigmoid().log().mean(1)
    power = GBCE(GBCEConfig(negatives=30), COUNTS).power
    gbce = -(power * score.sigmoid().log() + (1 - negative.sigmoid()).log().sum(1, keepdim=True)).squeeze(1) / 31
    for name, wanted in (("bce", bce), ("bpr", bpr), ("gbce", gbce)):
        entry = LOSSES.get(name)
        loss = entry.cls(entry.config.model_validate({"name": name, "negatives": 30, "exclude_target": False}), COUNTS)
        torch.manual_seed(3)
        torch.testing.assert_close(loss.per_position(hidden, targets, items), wanted, rtol=1e-4, atol=1e-5)


def _plain_bce(hidden: Tensor, targets: Tensor, items: Tensor, drawn: Tensor, power: float) -> Tensor:
    target = (hidden * embedding(targets, items)).sum(1).double().sigmoid()
    negative = (hidden.unsqueeze(1) * embedding(drawn, items)).sum(2).double().sigmoid()
    return -((target**power).log() + (1 - negative).log().sum(1))


@pytest.mark.parametrize("negatives", [1, 3])
def test_bce_is_its_formula(negatives: int) -> None:
    hidden, targets, items = batch(6)
    torch.manual_seed(3)
    drawn = uniform_negatives(targets, negatives, ITEMS)
    torch.manual_seed(3)
    value = BCE(BCEConfig(negatives=negatives), COUNTS).per_position(hidden, targets, items)
    wanted = _plain_bce(hidden, targets, items, drawn, 1.0)
    torch.testing.assert_close(value.double(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("negatives", [1, 3])
def test_bpr_is_its_formula(negatives: int) -> None:
    hidden, targets, items = batch(6)
    torch.manual_seed(3)
    drawn = uniform_negatives(targets, negatives, ITEMS)
    torch.manual_seed(3)
    value = BPR(BPRConfig(negatives=negatives), COUNTS).per_position(hidden, targets, items)
    for position, target in enumerate(targets):
        pairs = [float(hidden[position] @ (items[target] - items[code])) for code in drawn[position]]
        wanted = -sum(math.log(1 / (1 + math.exp(-pair))) for pair in pairs) / negatives
        assert value[position].item() == pytest.approx(wanted, rel=1e-4)


def test_more_negatives_estimate_the_same_bpr() -> None:
    hidden, targets, items = batch(5)
    value = BPR(BPRConfig(negatives=200_000), COUNTS).per_position(hidden, targets, items)
    for position, target in enumerate(targets):
        others = torch.tensor([code for code in range(1, ITEMS + 1) if code != target])
        pairs = (items[target] - items[others]) @ hidden[position]
        assert value[position].item() == pytest.approx(-pairs.sigmoid().log().mean().item(), abs=0.02)


@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_gbce_is_its_formula(calibration: float) -> None:
    hidden, targets, items = batch(6)
    negatives = 13
    share = negatives / (ITEMS - 1)
    power = share * (calibration * (1 - 1 / share) + 1 / share)
    torch.manual_seed(3)
    drawn = uniform_negatives(targets, negatives, ITEMS)
    torch.manual_seed(3)
    value = GBCE(GBCEConfig(negatives=negatives, calibration=calibration), COUNTS).per_position(
        hidden, targets, items
    )
    wanted = _plain_bce(hidden, targets, items, drawn, power) / (negatives + 1)
    torch.testing.assert_close(value.double(), wanted, rtol=1e-5, atol=1e-6)


def test_the_power_of_gbce_at_its_ends() -> None:
    def power(**settings: float) -> float:
        return GBCE(GBCEConfig.model_validate({"name": "gbce", **settings}), COUNTS).power

    assert power(calibration=0, negatives=13) == pytest.approx(1)           # plain BCE
    assert power(calibration=1, negatives=13) == pytest.approx(13 / 39)     # the sampled share
    assert power(calibration=0.75, negatives=39) == pytest.approx(1)        # all negatives: nothing to undo
    assert power(calibration=0.75, negatives=500) == pytest.approx(1)


@pytest.mark.parametrize(("negatives", "shape"), [(ONE_BY_ONE - 1, (30, ONE_BY_ONE)), (ONE_BY_ONE, (ITEMS,))])
def test_many_negatives_look_each_item_up_once(negatives: int, shape: tuple[int, ...]) -> None:
    hidden, targets, items = batch(30)
    loss, asked = GBCE(GBCEConfig(negatives=negatives), COUNTS), []
    hidden.requires_grad_()

    def lookup(codes: Tensor) -> Tensor:
        asked.append(codes.shape)
        return embedding(codes, items)

    torch.manual_seed(1)
    ours = loss.by_lookup(hidden, targets, lookup)
    torch.manual_seed(1)
    with plain_twins():
        torch.testing.assert_close(ours, loss.by_lookup(hidden, targets, lookup))
    assert asked == [shape, (30, 1 + negatives)]
