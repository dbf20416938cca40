"""The GRU layer against the equations, one number at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from mltfr.backbones.gru4rec import GRU4Rec, GRU4RecConfig, GRULayer
from mltfr.model import SequentialModel

HIDDEN = 3


def _layer() -> GRULayer:
    torch.manual_seed(0)
    layer = GRULayer(HIDDEN, 0.0).double().eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return layer


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _states(rows: np.ndarray, layer: GRULayer) -> np.ndarray:
    w, u = (tensor.detach().numpy().reshape(3, HIDDEN, HIDDEN) for tensor in (layer.input.weight, layer.recurrent))
    b = layer.input.bias.detach().numpy().reshape(3, HIDDEN)
    state, states = np.zeros(HIDDEN), []
    for x in rows:
        new = np.zeros(HIDDEN)
        for i in range(HIDDEN):
            reset = _sigmoid(w[0, i] @ x + b[0, i] + u[0, i] @ state)
            update = _sigmoid(w[1, i] @ x + b[1, i] + u[1, i] @ state)
            candidate = math.tanh(w[2, i] @ x + b[2, i] + reset * (u[2, i] @ state))
            new[i] = (1 - update) * candidate + update * state[i]
        state = new
        states.append(state)
    return np.stack(states)


def test_a_layer_equals_explicit_loops_from_the_first_item_on() -> None:
    layer = _layer()
    x = torch.randn(2, 5, HIDDEN, dtype=torch.float64)
    mask = torch.tensor([[1.0] * 5, [0, 0, 1, 1, 1]]).double().unsqueeze(-1)
    x = x * mask
    result = layer(x, mask).detach().numpy()
    np.testing.assert_allclose(result[0], _states(x[0].numpy(), layer), rtol=1e-9)
    np.testing.assert_allclose(result[1, 2:], _states(x[1, 2:].numpy(), layer), rtol=1e-9)
    assert not result[1, :2].any()  # no state before the first item, in spite of the biases


def test_a_layer_equals_the_one_of_torch() -> None:
    layer = _layer()
    other = nn.GRU(HIDDEN, HIDDEN, batch_first=True).double()
    with torch.no_grad():
        other.weight_ih_l0.copy_(layer.input.weight)
        other.weight_hh_l0.copy_(layer.recurrent)
        other.bias_ih_l0.copy_(layer.input.bias)
        other.bias_hh_l0.zero_()
    x = torch.randn(2, 5, HIDDEN, dtype=torch.float64)
    torch.testing.assert_close(layer(x, torch.ones(2, 5, 1, dtype=torch.float64)), other(x)[0])


@pytest.mark.parametrize("item_bias", [True, False])
def test_an_item_has_a_bias_of_its_own_unless_told_otherwise(item_bias: bool) -> None:
    model = SequentialModel(20, GRU4Rec(GRU4RecConfig(hidden=HIDDEN, item_bias=item_bias))).eval()
    assert GRU4RecConfig().item_bias
    assert ("item_bias" in model.state_dict()) is item_bias
    items = torch.tensor([[4, 9]])
    scores = model.user_embedding(items) @ model.scoring_matrix().T
    if item_bias:
        assert model.item_bias is not None
        with torch.no_grad():
            model.item_bias[7] += 3
        moved = model.user_embedding(items) @ model.scoring_matrix().T - scores
        torch.testing.assert_close(moved, 3 * nn.functional.one_hot(torch.tensor([7]), 21).float())


def test_initial_values_are_those_of_the_authors_code() -> None:
    backbone = GRU4Rec(GRU4RecConfig(hidden=48))
    layer = backbone.blocks[0]
    for weight in (layer.input.weight, layer.recurrent):
        assert 0.24 < weight.abs().max().item() <= 0.25  # the root of 6 / (48 + 48)
    assert not layer.input.bias.any()
    vectors = torch.zeros(552, 48)
    backbone.reset_item_embedding(vectors)
    assert 0.09 < vectors.abs().max().item() <= 0.1  # the root of 6 / (552 + 48)
