"""What a baseline's scores say as probabilities, for blends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from mltfr.baselines import BASELINES
from mltfr.baselines.base import BACKOFF, shares
from mltfr.interactions import Histories

ITEMS = 12
SEQUENCES = [[1, 2, 3, 4], [2, 3, 5], [1, 2, 6, 3], [7, 8, 9], [9, 7, 8, 10], [11, 2, 3]]
HISTORIES = Histories.from_sequences(SEQUENCES)
COUNTS = np.bincount(HISTORIES.items, minlength=ITEMS + 1)
ASKED = [np.array(codes, np.int32) for codes in ([2], [7, 8], [12], [1, 9])]
"""Item 12 is in no history, so that nothing neighbours it."""


WORDS = csr_array(np.eye(5, dtype=np.float32)[[*range(5), *range(5), 0, 3]] + np.eye(12, 5, dtype=np.float32))


def fitted(name: str):
    entry = BASELINES.get(name)
    return entry.cls.fit(entry.config(name=name), HISTORIES, COUNTS, WORDS)


def both(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scores and the probabilities of all items, `[B, I]` each."""
    model = fitted(name)
    scores = model.scores(model.queries(ASKED), 1, ITEMS + 1)
    return scores.clone(), model.probabilities(scores)


@pytest.mark.parametrize("name", BASELINES.names())
def test_they_are_probabilities_that_never_turn_an_order_round(name: str) -> None:
    scores, found = both(name)
    assert found.shape == scores.shape
    assert (found >= 0).all()
    assert found.sum(1).tolist() == pytest.approx([1] * len(ASKED), abs=1e-5)
    for row in range(len(ASKED)):
        above = scores[row].unsqueeze(0) > scores[row].unsqueeze(1)
        positive = scores[row].clamp(min=0).unsqueeze(0) > scores[row].clamp(min=0).unsqueeze(1)
        higher = found[row].unsqueeze(0) > found[row].unsqueeze(1)
        if name in ("popularity", "markov"):
            assert torch.equal(higher, above)
        elif name == "ease":
            assert torch.equal(higher, positive)


def test_popularity_is_the_share_of_all_interactions() -> None:
    _, found = both("popularity")
    assert found[0].tolist() == pytest.approx((COUNTS[1:] / COUNTS.sum()).tolist())


def test_markov_is_itself() -> None:
    scores, found = both("markov")
    torch.testing.assert_close(found, scores, rtol=1e-5, atol=0)


def test_item_knn_shares_similarities_and_backs_off_to_popularity() -> None:
    scores, found = both("item-knn")
    popular = torch.tensor(COUNTS[1:] / COUNTS.sum())
    near = scores[0].double().clamp(min=0).square()
    expected = (1 - BACKOFF) * near / near.sum() + BACKOFF * popular
    torch.testing.assert_close(found[0].double(), expected, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(found[2].double(), popular, rtol=1e-5, atol=1e-8)


def test_ease_shares_what_is_above_zero_and_backs_off_evenly() -> None:
    scores, found = both("ease")
    positive = scores[1].double().clamp(min=0).square()
    expected = (1 - BACKOFF) * positive / positive.sum() + BACKOFF / ITEMS
    torch.testing.assert_close(found[1].double(), expected, rtol=1e-5, atol=1e-8)


def test_where_nothing_is_above_zero_the_rest_stands_alone() -> None:
    rest = torch.tensor([[0.7, 0.3]])
    found = shares(torch.tensor([[-1.0, 0.0], [1.0, 2.0]]), rest)
    assert found[0].tolist() == pytest.approx([0.7, 0.3])
    expected = [0.2 * (1 - BACKOFF) + 0.7 * BACKOFF, 0.8 * (1 - BACKOFF) + 0.3 * BACKOFF]
    assert found[1].tolist() == pytest.approx(expected)
