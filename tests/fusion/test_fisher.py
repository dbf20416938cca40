"""Fisher information equals its definition, and merging by it does what it says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mltfr.fusion import FusionInputs
from mltfr.fusion.fisher import estimate_fisher, estimate_fisher_of_batches, merge_by_fisher
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.model import SequentialModel
from mltfr.testing.toy import HIDDEN, ITEMS, LENGTH, ToyBackbone, ToyBidirectional, random_table


@pytest.mark.parametrize("is_causal", [True, False])
def test_estimate_equals_a_loop_over_the_examples(is_causal: bool) -> None:
    tables = [random_table("a", 40, 8), random_table("b", 30, 12)]
    config = MltfrConfig(filter={"keep": 3, "shortlist": 12})
    fusion = MltfrFusion(config, FusionInputs(HIDDEN, is_causal, tables, seed=1))
    torch.manual_seed(0)
    model = SequentialModel(ITEMS, (ToyBackbone if is_causal else ToyBidirectional)(), fusion).eval()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    codes = torch.randint(1, ITEMS + 1, (7, LENGTH))
    codes[:4, :3] = 0
    targets = torch.randn(7, LENGTH, HIDDEN)

    def loss(codes: Tensor, targets: Tensor) -> Tensor:
        mask = (codes != 0).unsqueeze(-1)
        return ((model.encode(codes) - targets).square() * mask).sum() / mask.sum()

    parameters = fusion.fisher_parameters()
    fisher = estimate_fisher(
        fusion, parameters, loss, [(codes[:5], targets[:5]), (codes[5:], targets[5:])], chunk_size=3
    )
    expected = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    for row in range(7):
        gradients = torch.autograd.grad(loss(codes[row : row + 1], targets[row : row + 1]), parameters.values())
        for name, gradient in zip(parameters, gradients, strict=True):
            expected[name] += gradient.square() / 7
    assert set(fisher) == set(parameters)
    for name, value in expected.items():
        assert value.max() > 0, name
        torch.testing.assert_close(fisher[name], value, rtol=1e-4, atol=1e-9)


def test_per_example_differs_from_squared_batch_gradient() -> None:
    """Two examples with opposite gradients: the batch's gradient vanishes, the Fisher information does not."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return (module(x) - y).square().mean()

    batch = (torch.ones(2, 1), torch.tensor([[1.0], [-1.0]]))
    parameters = dict(module.named_parameters())
    assert estimate_fisher(module, parameters, loss, [batch])["weight"].item() == pytest.approx(4.0)
    assert estimate_fisher_of_batches(module, parameters, loss, [batch])["weight"].item() == 0.0


def test_no_example_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one example"):
        estimate_fisher(nn.Linear(1, 1), {}, lambda: torch.zeros(()), [])


def experts(count: int = 3) -> list[dict[str, Tensor]]:
    torch.manual_seed(0)
    return [{"w": torch.randn(4, 3), "b": torch.randn(4)} for _ in range(count)]


def fishers(count: int = 3) -> list[dict[str, Tensor]]:
    torch.manual_seed(1)
    return [{"w": torch.rand(4, 3), "b": torch.rand(4)} for _ in range(count)]


@pytest.mark.parametrize("mode", ["normalised", "plain"])
def test_equal_fisher_gives_the_plain_mean(mode: str) -> None:
    merged = merge_by_fisher(experts(), [fishers(1)[0]] * 3, mode=mode)
    for name, value in merged.items():
        torch.testing.assert_close(value, torch.stack([expert[name] for expert in experts()]).mean(0))


def test_plain_merge_with_one_dominant_fisher_is_that_expert() -> None:
    weights = fishers()
    weights[1] = {name: value * 1e12 for name, value in weights[1].items()}
    merged = merge_by_fisher(experts(), weights, mode="plain")
    for name, value in merged.items():
        torch.testing.assert_close(value, experts()[1][name])


@pytest.mark.parametrize("factor", [1e-15, 0.3, 1e12])
def test_scaling_one_experts_fisher_changes_nothing_by_default(factor: float) -> None:
    weights = fishers()
    weights[2] = {name: value * factor for name, value in weights[2].items()}
    scaled, merged = merge_by_fisher(experts(), weights), merge_by_fisher(experts(), fishers())
    for name, value in merged.items():
        torch.testing.assert_close(scaled[name], value, rtol=1e-5, atol=1e-6)


def test_default_weighs_elements_by_their_information() -> None:
    parameters = [{"w": torch.tensor([1.0, 1.0])}, {"w": torch.tensor([3.0, 3.0])}]
    weights = [{"w": torch.tensor([3.0, 1.0])}, {"w": torch.tensor([10.0, 30.0])}]
    torch.testing.assert_close(merge_by_fisher(parameters, weights)["w"], torch.tensor([1.5, 2.5]))


def test_where_all_fisher_vanishes_the_default_is_the_plain_mean() -> None:
    zero = [{name: torch.zeros_like(value) for name, value in expert.items()} for expert in experts()]
    for name, value in merge_by_fisher(experts(), zero).items():
        torch.testing.assert_close(value, torch.stack([expert[name] for expert in experts()]).mean(0))
    partly = fishers()
    for fisher in partly:
        fisher["w"][0] = 0
    merged = merge_by_fisher(experts(), partly)["w"][0]
    torch.testing.assert_close(merged, torch.stack([expert["w"][0] for expert in experts()]).mean(0))
