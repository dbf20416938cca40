"""Initial values are drawn from the seed alone, and from no stream that threads share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from mltfr.errors import ConfigError
from mltfr.fusion.init import Seeded, _kind


def test_initial_values_leave_the_numbers_of_other_threads_alone() -> None:
    torch.manual_seed(7)
    wanted = [torch.randn(3) for _ in range(4)]
    first, second = torch.nn.Linear(3, 4), torch.nn.Embedding(3, 4)
    inside, outside = threading.Event(), threading.Event()

    def build() -> list[torch.Tensor]:
        with Seeded(7):
            drawn = [torch.randn(3) for _ in range(2)]
            inside.set()
            outside.wait(10)
            drawn += [torch.randn(3) for _ in range(2)]
            return [*drawn, torch.nn.Linear(3, 4).weight, torch.nn.Embedding(3, 4).weight]

    with ThreadPoolExecutor(1) as pool:
        torch.manual_seed(8)
        expected = [torch.rand(3) for _ in range(3)]
        torch.manual_seed(8)
        ours = [torch.rand(3)]
        result = pool.submit(build)
        inside.wait(10)
        ours.append(torch.rand(3))
        outside.set()
        theirs = result.result()
        ours.append(torch.rand(3))
    assert all(torch.equal(*pair) for pair in zip(ours, expected, strict=True))
    assert all(torch.equal(*pair) for pair in zip(theirs, [*wanted, first.weight, second.weight], strict=True))


X = torch.full((40,), 0.5)
DRAWS: dict[str, Callable[[], Any]] = {
    "rand": lambda: torch.rand(3),
    "randn_like": lambda: torch.randn_like(X),
    "rand_like": lambda: torch.rand_like(X),
    "randint_like": lambda: torch.randint_like(X, 99),
    "randint": lambda: torch.randint(3, 99, (9,)),
    "randperm": lambda: torch.randperm(40),
    "normal": lambda: torch.normal(X, X),
    "log_normal_": lambda: X.clone().log_normal_(),
    "cauchy_": lambda: X.clone().cauchy_(),
    "geometric_": lambda: X.clone().geometric_(0.1),
    "exponential_": lambda: X.clone().exponential_(),
    "multinomial of a tensor": lambda: X.multinomial(9),
    "bernoulli of a tensor": lambda: X.bernoulli(),
    "poisson": lambda: torch.poisson(9 * X),
    "binomial": lambda: torch.binomial(9 * X, X),
    "gamma": lambda: torch.distributions.Gamma(X, X).sample(),
    "recurrent": lambda: torch.nn.GRU(3, 3).weight_ih_l0,
    "attention": lambda: torch.nn.MultiheadAttention(4, 2).in_proj_weight,
    "orthogonal": lambda: torch.nn.init.orthogonal_(torch.empty(4, 4)),
    "truncated": lambda: torch.nn.init.trunc_normal_(torch.empty(4, 4)),
    "sparse": lambda: torch.nn.init.sparse_(torch.empty(4, 4), 0.5),
    "dropout": lambda: torch.nn.functional.dropout(X),
    "rrelu": lambda: torch.nn.functional.rrelu(-X, training=True),
    "attention with dropout": lambda: torch.nn.functional.scaled_dot_product_attention(
        *3 * [X.view(1, 4, 10)], dropout_p=0.5
    ),
    "an operation as such": lambda: torch.ops.aten.randn_like(X),
}


@pytest.mark.parametrize("name", DRAWS)
def test_no_draw_goes_round_the_seed(name: str) -> None:
    """What draws initial values draws them from the seed, as after `manual_seed`, or is refused."""
    torch.manual_seed(7)
    wanted = DRAWS[name]()
    torch.manual_seed(8)
    before = torch.get_rng_state()
    with Seeded(7):
        try:
            found = DRAWS[name]()
        except ConfigError as error:
            assert "takes no generator, so that the seed does not reach it" in str(error)  # noqa: PT017
            return
    assert torch.equal(found, wanted)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_forward_pass_without_dropout_draws_nothing() -> None:
    layer = torch.nn.GRU(3, 3, batch_first=True)
    with Seeded(7):
        assert layer(torch.zeros(1, 2, 3))[0].shape == (1, 2, 3)
        assert torch.equal(torch.nn.functional.dropout(X, training=False), X)


def test_every_function_of_torch_passes() -> None:
    functions = {f for group in torch.overrides.get_overridable_functions().values() for f in group}
    kinds = {function: _kind(function) for function in functions}
    assert kinds[torch.Tensor.__eq__] == (False, False)
    assert kinds[torch.bernoulli] == (True, True)
    assert len([kind for kind in kinds.values() if kind == (True, True)]) > 10
    with Seeded(7):
        assert ((X == X) | (2 * X != 1)).all()
