"""The weights of a blend: the maximum of a concave function, found by EM."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from mltfr.evaluation.mixture import mixture_weights


def made_up(targets: int, members: int, seed: int = 0) -> np.ndarray:
    """Return probabilities of targets, of which the first members think more."""
    random = np.random.default_rng(seed)
    return random.beta(0.4, 6, (targets, members)) * np.linspace(1.5, 0.5, members)


def objective(weights: np.ndarray, probabilities: np.ndarray, prior: float) -> float:
    return float(np.log(probabilities @ weights).sum() + prior * np.log(weights).sum())


@pytest.mark.parametrize(("members", "prior"), [(2, 20.0), (4, 5.0), (4, 0.5)])
def test_no_other_weights_are_better(members: int, prior: float) -> None:
    probabilities = made_up(300, members)
    found = mixture_weights(probabilities, prior)
    assert found.sum() == pytest.approx(1, abs=1e-12)

    def loss(logits: np.ndarray) -> float:
        weights = np.exp(logits - logits.max())
        return -objective(weights / weights.sum(), probabilities, prior)

    best = minimize(loss, np.zeros(members), method="BFGS", options={"gtol": 1e-8})
    assert objective(found, probabilities, prior) >= -best.fun - 1e-6
    expected = np.exp(best.x - best.x.max())
    assert found == pytest.approx(expected / expected.sum(), abs=1e-4)


def test_without_a_prior_a_useless_member_gets_nothing_and_the_better_one_all() -> None:
    probabilities = np.full((200, 2), 0.1)
    probabilities[:, 1] = 0.05
    assert mixture_weights(probabilities, prior=0.0) == pytest.approx([1, 0], abs=1e-3)


def test_the_prior_draws_few_targets_to_equal_weights_and_many_not() -> None:
    few, many = (mixture_weights(made_up(targets, 2)) for targets in (5, 20_000))
    assert abs(few[0] - 0.5) < 0.05 < 0.1 < many[0] - 0.5


def test_equal_members_and_nothing_to_choose_on_give_equal_weights() -> None:
    column = made_up(50, 1)
    assert mixture_weights(np.tile(column, (1, 3))) == pytest.approx([1 / 3] * 3, abs=1e-12)
    for nothing in (np.zeros((0, 2)), np.zeros((7, 2))):
        assert mixture_weights(nothing).tolist() == [0.5, 0.5]


def test_targets_that_nobody_thinks_possible_and_the_scale_of_a_target_do_not_matter() -> None:
    probabilities = made_up(100, 3)
    scaled = probabilities * np.logspace(-280, 0, 100)[:, None]
    with_nothing = np.concatenate([scaled, np.zeros((9, 3))])
    assert mixture_weights(with_nothing) == pytest.approx(mixture_weights(probabilities), abs=1e-9)
