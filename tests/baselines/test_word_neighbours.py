"""Items with words like those of the history's items."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array

from mltfr.baselines.word_neighbours import RECENT, WordNeighbours

WEIGHTS = np.array([[2, 0, 1], [1, 1, 0], [0, 0, 3], [0, 0, 0], [0, 2, 0]], np.float32)
"""Five items, of which the fourth has no name."""
UNIT = WEIGHTS / np.maximum(np.linalg.norm(WEIGHTS, axis=1, keepdims=True), 1e-9)


def test_scores_are_sums_of_cosines_the_newest_item_counting_most() -> None:
    words = WordNeighbours(csr_array(WEIGHTS))
    found = words.scores(words.queries([np.array([1, -1, 5], np.int32), np.array([4], np.int32)]), 1, 6)
    np.testing.assert_allclose(found[0], UNIT @ (RECENT * UNIT[0] + UNIT[4]), atol=1e-6)
    assert not found[1].any()
    some = words.scores(words.queries([np.array([1, 5], np.int32)]), 2, 4)
    torch.testing.assert_close(some, found[:1, 1:3])


def test_probabilities_sum_to_one_without_a_name_too() -> None:
    words = WordNeighbours(csr_array(WEIGHTS))
    found = words.probabilities(words.scores(words.queries([np.array([1], np.int32), np.array([4], np.int32)]), 1, 6))
    torch.testing.assert_close(found.sum(1), torch.ones(2))
    assert found[0].argmax() == 0
    torch.testing.assert_close(found[1], torch.full((5,), 0.2))


def test_similarity_is_the_cosine() -> None:
    found = WordNeighbours(csr_array(WEIGHTS)).item_similarity(torch.tensor([1, 3]))
    np.testing.assert_allclose(found, UNIT[[0, 2]] @ UNIT.T, atol=1e-6)
