from __future__ import annotations

import pytest
import torch
from torch import nn

from mltfr.errors import ConfigError
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


@pytest.mark.parametrize(("kind", "torchs"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_betas_are_those_of_the_settings(kind, torchs):
    ours, theirs = (nn.Parameter(torch.ones(3)) for _ in range(2))
    config = TrainingConfig(optimizer=kind, learning_rate=0.01, weight_decay=0.1, betas=[0.8, 0.98])
    optimizer, wanted = make_optimizer(config, [ours]), torchs([theirs], lr=0.01, betas=(0.8, 0.98), weight_decay=0.1)
    for step in range(5):
        ours.grad = theirs.grad = torch.tensor([1.0, -0.5, 0.1]) * (step - 2)
        optimizer.step()
        wanted.step()
    torch.testing.assert_close(ours, theirs)
    assert make_optimizer(config, [ours], sparse=True).param_groups[0]["betas"] == (0.8, 0.98)


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
