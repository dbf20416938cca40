"""Remembered values are made again when, and only when, a weight is not what it was."""

from __future__ import annotations

import torch
from torch import nn

from mltfr.fusion.remembered import Remembered


def test_a_value_is_made_again_when_a_weight_changes() -> None:
    layer, made, found = nn.Linear(2, 2), [], Remembered[int]()

    def make() -> int:
        made.append(len(made))
        return made[-1]

    assert [found.get(layer, make) for _ in range(3)] == [0, 0, 0]
    with torch.no_grad():
        layer.weight[0, 0] = 7
    assert [found.get(layer, make) for _ in range(2)] == [1, 1]
    layer.weight = nn.Parameter(layer.weight.detach().clone())
    assert [found.get(layer, make) for _ in range(2)] == [2, 2]
    layer.register_buffer("more", torch.zeros(1))
    assert [found.get(layer, make) for _ in range(2)] == [3, 3]
    found.forget()
    assert found.get(layer, make) == 4


def test_weights_without_a_version_are_never_trusted() -> None:
    with torch.inference_mode():
        layer = nn.Linear(2, 2)
    found: Remembered[object] = Remembered()
    assert found.get(layer, object) is not found.get(layer, object)
