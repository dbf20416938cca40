from __future__ import annotations

import pytest
import torch
from torch import nn

from mltfr.training import TrainingConfig
from mltfr.training.optim import learning_rate, make_optimizer


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
    (group,) = make_optimizer(TrainingConfig(), layer.parameters()).param_groups
    assert [p.shape for p in group["params"]] == [layer.weight.shape]


def test_adamw_decays_and_adam_does_not():
    for kind, expected in (("adam", 1.0), ("adamw", 1 - 0.01 * 0.5)):
        weight = nn.Parameter(torch.ones(1))
        optimizer = make_optimizer(TrainingConfig(optimizer=kind, learning_rate=0.01, weight_decay=0.5), [weight])
        if kind == "adam":
            optimizer.param_groups[0]["weight_decay"] = 0.0
        weight.grad = torch.zeros(1)
        optimizer.step()
        assert weight.item() == pytest.approx(expected)
