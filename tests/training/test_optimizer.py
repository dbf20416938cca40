from __future__ import annotations

import pytest
import torch
from torch import nn

from mltfr.errors import ConfigError
from mltfr.training import TrainingConfig
from mltfr.training.optim import learning_rate, make_optimizer
from mltfr.training.optim.groups import parameter_groups
from mltfr.training.step import OptimizationStep


def test_constant_rate_after_the_warm_up():
    config = TrainingConfig(learning_rate=0.1, warmup_steps=4)
    assert [learning_rate(config, step, 100) for step in (0, 1, 3, 4, 99)] == pytest.approx(
        [0.025, 0.05, 0.1, 0.1, 0.1]
    )


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_schedules_fall_from_the_peak_to_zero(schedule):
    config = TrainingConfig(learning_rate=0.1, schedule=schedule, warmup_steps=10)
    rates = [learning_rate(config, step, 110) for step in range(10, 111)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[50] == pytest.approx(0.05)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert rates == sorted(rates, reverse=True)


def test_frozen_parameters_are_not_handed_to_the_optimizer():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    (group,) = make_optimizer(TrainingConfig(), layer).param_groups
    assert [p.shape for p in group["params"]] == [layer.weight.shape]


def test_adamw_decays_and_adam_does_not():
    for kind, expected in (("adam", 1.0), ("adamw", 1 - 0.01 * 0.5)):
        weight = nn.Parameter(torch.ones(1))
        module = nn.ParameterList([weight])
        optimizer = make_optimizer(TrainingConfig(optimizer=kind, learning_rate=0.01, weight_decay=0.5), module)
        if kind == "adam":
            optimizer.param_groups[0]["weight_decay"] = 0.0
        weight.grad = torch.zeros(1)
        optimizer.step()
        assert weight.item() == pytest.approx(expected)


@pytest.mark.parametrize(("kind", "torchs"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_betas_are_those_of_the_settings(kind, torchs):
    ours, theirs = (nn.Parameter(torch.ones(3)) for _ in range(2))
    config = TrainingConfig(optimizer=kind, learning_rate=0.01, weight_decay=0.1, betas=[0.8, 0.98])
    wanted = torchs([theirs], lr=0.01, betas=(0.8, 0.98), weight_decay=0.1)
    module = nn.ParameterList([ours])
    optimizer = make_optimizer(config, module)
    for step in range(5):
        ours.grad = theirs.grad = torch.tensor([1.0, -0.5, 0.1]) * (step - 2)
        optimizer.step()
        wanted.step()
    torch.testing.assert_close(ours, theirs)
    assert make_optimizer(config, module, sparse=True).param_groups[0]["betas"] == (0.8, 0.98)


@pytest.mark.parametrize(
    ("betas", "message"),
    [
        (0.9, r"betas: expected a list, as in \[0.9\], got 0.9"),
        ([0.9], r"betas.1: Field required"),
        ([0.9, 1.0], r"betas.1: Input should be less than 1, got 1.0"),
        ([-0.1, 0.9], r"betas.0: Input should be greater than or equal to 0, got -0.1"),
    ],
)
def test_wrong_betas_are_one_line(betas, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig.parse({"betas": betas})


class Fast(nn.Module):
    def __init__(self, factor, *parts):
        super().__init__()
        self.rate_factor = factor
        self.parts = nn.ModuleList(parts)


def test_a_part_has_a_learning_rate_of_its_own_and_one_in_it_too():
    plain, fast, slow = nn.Linear(2, 2), nn.Linear(3, 3), nn.Linear(4, 4, bias=False)
    groups = parameter_groups(nn.ModuleList([Fast(10.0, fast, Fast(0.5, slow)), plain]))
    assert list(groups) == [1.0, 10.0, 0.5]
    assert [len(group) for group in groups.values()] == [2, 2, 1]
    assert groups[1.0][0] is plain.weight
    assert groups[10.0][0] is fast.weight
    assert groups[0.5][0] is slow.weight


def test_without_factors_there_is_one_group_in_the_order_of_the_module():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert list(parameter_groups(module)) == [1.0]
    assert all(a is b for a, b in zip(parameter_groups(module)[1.0], module.parameters(), strict=True))


@pytest.mark.parametrize("sparse", [False, True])
def test_a_group_takes_its_share_of_every_learning_rate(sparse):
    items = nn.Embedding(5, 2, sparse=sparse)
    module = nn.ModuleList([Fast(10.0, nn.Linear(2, 1, bias=False)), items])
    step = OptimizationStep.__new__(OptimizationStep)
    step.optimizer = make_optimizer(TrainingConfig(learning_rate=0.5), module, sparse)
    step.set_learning_rate(0.01)
    fast = module[0].parts[0]
    before = fast.weight.detach().clone(), items.weight.detach().clone()
    if sparse:
        step.optimizer.track(items)
    fast(items(torch.arange(5))).square().sum().backward()
    step.optimizer.step()
    assert (fast.weight - before[0]).abs().flatten().tolist() == pytest.approx([0.1, 0.1], rel=1e-3)  # Adam's first
    assert (items.weight - before[1]).abs().flatten().tolist() == pytest.approx([0.01] * 10, rel=1e-3)
