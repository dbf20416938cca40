"""Name-kNN: items with words like those of the history's items."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from mltfr.baselines.name_knn import NameKNN, NameKNNConfig
from mltfr.interactions import Histories

WEIGHTS = np.array([[2, 0, 1], [1, 1, 0], [0, 0, 3], [0, 0, 0], [0, 2, 0]], np.float32)
"""Five items, of which the fourth has no name."""
UNIT = WEIGHTS / np.maximum(np.linalg.norm(WEIGHTS, axis=1, keepdims=True), 1e-9)


def test_scores_are_sums_of_cosines_the_newest_item_counting_most() -> None:
    words = NameKNN.of_words(csr_array(WEIGHTS))
    found = words.scores(words.queries([np.array([1, -1, 5], np.int32)]), 1, 6)[0].numpy()
    expected = UNIT @ (0.8 * UNIT[0] + UNIT[4])
    np.testing.assert_allclose(found, np.where(expected > 0, expected, -1), atol=1e-6)
    some = words.scores(words.queries([np.array([1, 5], np.int32)]), 2, 4)
    np.testing.assert_allclose(some[0], found[1:3])


def test_items_without_a_word_in_common_follow_by_popularity() -> None:
    counts = np.array([0, 3, 9, 0, 5, 1])
    found = NameKNN.fit(NameKNNConfig(), Histories.from_sequences([]), counts, csr_array(WEIGHTS))
    alone, nameless = found.scores(found.queries([np.array([5], np.int32), np.array([4], np.int32)]), 1, 6)
    assert alone.argsort(descending=True).tolist() == [4, 1, 3, 0, 2]
    assert nameless.argsort(descending=True).tolist() == [1, 3, 0, 4, 2]
    assert (nameless < 0).all()


def test_probabilities_sum_to_one_without_a_name_too() -> None:
    words = NameKNN.of_words(csr_array(WEIGHTS))
    found = words.probabilities(words.scores(words.queries([np.array([1], np.int32), np.array([4], np.int32)]), 1, 6))
    torch.testing.assert_close(found.sum(1), torch.ones(2))
    assert found[0].argmax() == 0
    torch.testing.assert_close(found[1], torch.full((5,), 0.2))


def test_similarity_is_the_cosine_and_nothing_without_a_word_in_common() -> None:
    words, codes = NameKNN.of_words(csr_array(WEIGHTS)), torch.tensor([1, 3])
    expected = UNIT[[0, 2]] @ UNIT.T
    np.testing.assert_allclose(words.similarity(codes), expected, atol=1e-6)
    np.testing.assert_allclose(words.item_similarity(codes), np.where(expected > 0, expected, -np.inf), atol=1e-6)


def test_words_are_needed_and_of_these_items() -> None:
    for words in (None, csr_array(WEIGHTS[:3])):
        with pytest.raises(ValueError, match="words of 5 items"):
            NameKNN.fit(NameKNNConfig(), Histories.from_sequences([]), np.zeros(6, np.int64), words)
