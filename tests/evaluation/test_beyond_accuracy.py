"""Coverage, Gini, novelty, popularity bias, and slices."""

from __future__ import annotations

import numpy as np
import pytest

from mltfr.evaluation.beyond_accuracy import beyond_accuracy, gini
from mltfr.evaluation.slices import length_slices, popularity_slices
from mltfr.inference import TopK
from mltfr.interactions import UNKNOWN


def lists(rows: list[list[int]]) -> TopK:
    codes = np.array(rows, np.int64)
    return TopK(codes, np.where(codes > 0, 1.0, -np.inf).astype(np.float32), (codes > 0).sum(1))


def test_known_values() -> None:
    values = beyond_accuracy(lists([[1, 2], [1, 0]]), np.array([0, 4, 2, 1, 1]), (1, 2))
    assert values["coverage@1"] == 1 / 4
    assert values["coverage@2"] == 2 / 4
    assert values["novelty@1"] == pytest.approx(1.0)  # item 1 has half of the 8 interactions: 1 bit
    assert values["novelty@2"] == pytest.approx((1 + 2 + 1) / 3)  # short lists count by what they hold
    assert values["popularity_bias@1"] == pytest.approx(7 / 8)
    assert values["popularity_bias@2"] == pytest.approx((7 / 8 + 5 / 8 + 7 / 8) / 3)
    assert values["gini@1"] == pytest.approx(3 / 4)


def test_popularity_bias_of_all_items_is_one_half() -> None:
    counts = np.array([0, 5, 5, 1, 9, 2])
    assert beyond_accuracy(lists([[1, 2, 3, 4, 5]]), counts, (5,))["popularity_bias@5"] == pytest.approx(0.5)


def test_gini_equals_its_definition() -> None:
    amounts = np.random.default_rng(0).integers(0, 20, 30)
    definition = np.abs(amounts[:, None] - amounts).mean() / (2 * amounts.mean())
    assert gini(amounts) == pytest.approx(definition)
    assert gini(np.full(7, 3)) == 0
    assert gini(np.zeros(7, np.int64)) == 0


def test_popularity_slices_are_thirds_of_the_interactions() -> None:
    counts = np.array([0, 1, 6, 1, 3, 4, 3])  # 18 interactions: 6 | 4 + 3 | 3 + 1 + 1
    slices = popularity_slices(np.array([2, 5, 4, 6, 1, 3, UNKNOWN]), counts)
    assert {name: np.flatnonzero(mask).tolist() for name, mask in slices.items()} == {
        "head": [0],
        "mid": [1, 2],
        "tail": [3, 4, 5],
        "unknown": [6],
    }


def test_every_length_is_in_one_slice() -> None:
    lengths = np.array([1, 5, 6, 10, 11, 20, 21, 50, 51, 999])
    slices = length_slices(lengths)
    assert list(slices) == ["1-5", "6-10", "11-20", "21-50", "51+"]
    assert [np.flatnonzero(mask).tolist() for mask in slices.values()] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
