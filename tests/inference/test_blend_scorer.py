"""The scorer of a blend: the mean of its members' probabilities, exactly, whatever range of items is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mltfr.baselines import BASELINES
from mltfr.inference import BlendScorer, FallbackScorer, ModelScorer, Retriever, Rules, top_k
from mltfr.interactions import Histories
from support.networks import Network

ITEMS = 90
RANDOM = np.random.default_rng(0)
HISTORIES = [RANDOM.integers(1, ITEMS + 1, length).astype(np.int32) for length in (1, 4, 9, 2, 30)]


def network(seed: int) -> Network:
    torch.manual_seed(seed)
    vectors = torch.randn(ITEMS + 1, 8)
    vectors[0] = 0
    return Network(vectors)


def baseline(name: str):
    histories = Histories.from_sequences([RANDOM.integers(1, ITEMS + 1, 12).tolist() for _ in range(40)])
    entry = BASELINES.get(name)
    counts = np.bincount(histories.items, minlength=ITEMS + 1)
    return entry.cls.fit(entry.config(name=name), histories, counts)


MEMBERS = [ModelScorer(network(1)), baseline("item-knn"), ModelScorer(network(2))]
WEIGHTS = [0.5, 0.2, 0.3]


def by_hand() -> torch.Tensor:
    """Return the weighted mean of probabilities, `[B, I]`, history by history in double precision."""
    rows = []
    for history in HISTORIES:
        row = torch.zeros(ITEMS, dtype=torch.float64)
        for member, weight in zip(MEMBERS, WEIGHTS, strict=True):
            scores = member.scores(member.queries([history]), 1, ITEMS + 1)
            if isinstance(member, ModelScorer):
                exponentials = scores[0].double().exp()
                row += weight * exponentials / exponentials.sum()
            else:
                row += weight * member.probabilities(scores)[0].double()
        rows.append(row)
    return torch.stack(rows)


def test_scores_are_the_mean_of_probabilities_in_any_range_of_items() -> None:
    blend = BlendScorer(MEMBERS, WEIGHTS)
    queries, expected = blend.queries(HISTORIES), by_hand()
    torch.testing.assert_close(blend.scores(queries, 1, ITEMS + 1).double(), expected, rtol=0, atol=1e-6)
    assert blend.scores(queries, 1, ITEMS + 1).sum(1).tolist() == pytest.approx([1] * len(HISTORIES), abs=1e-5)
    for start, stop in ((1, 2), (5, 40), (40, ITEMS + 1)):
        torch.testing.assert_close(
            blend.scores(queries, start, stop).double(), expected[:, start - 1 : stop - 1], rtol=0, atol=1e-6
        )


def test_what_a_caller_writes_into_scores_is_not_seen_by_the_next() -> None:
    blend = BlendScorer(MEMBERS, WEIGHTS)
    queries = blend.queries(HISTORIES)
    first = blend.scores(queries, 1, ITEMS + 1)
    expected = first.clone()
    with torch.inference_mode():
        first.fill_(-torch.inf)
    assert torch.equal(blend.scores(queries, 1, ITEMS + 1), expected)


@pytest.mark.parametrize("chunk", [7, 32, 1 << 17])
def test_the_top_k_is_exact_and_seen_items_are_removed_once(chunk: int) -> None:
    found = top_k(BlendScorer(MEMBERS, WEIGHTS), HISTORIES, 10, Rules(), chunk=chunk)
    scores = by_hand()
    for row, history in enumerate(HISTORIES):
        scores[row, history - 1] = -torch.inf
    expected = scores.topk(10, 1)
    assert found.codes.tolist() == (expected.indices + 1).tolist()
    assert found.scores == pytest.approx(expected.values.numpy(), abs=1e-6)


def test_a_member_of_weight_zero_is_not_asked() -> None:
    class Never(ModelScorer):
        def queries(self, histories):  # type: ignore[no-untyped-def]
            raise AssertionError

    one, other = ModelScorer(network(1)), ModelScorer(network(2))
    blend = BlendScorer([one, Never(network(3)), other], [0.25, 0.0, 0.75])
    expected = BlendScorer([one, other], [0.25, 0.75])
    assert torch.equal(blend.queries(HISTORIES), expected.queries(HISTORIES))


def test_members_of_different_items_and_missing_weights_are_refused() -> None:
    small = Network(torch.zeros(5, 8))
    for members, weights in (([], []), (MEMBERS, WEIGHTS[:2]), ([MEMBERS[0], ModelScorer(small)], [0.5, 0.5])):
        with pytest.raises(ValueError, match="members with"):
            BlendScorer(members, weights)


def test_a_retriever_notices_that_a_member_has_changed() -> None:
    changing = network(1)
    popular = baseline("popularity")
    retriever = Retriever(lambda: FallbackScorer(BlendScorer([ModelScorer(changing), popular], [0.9, 0.1]), popular))
    before = retriever.top_k(HISTORIES, 5, Rules())
    assert retriever.scorer is retriever.scorer
    with torch.no_grad():
        changing.item_embedding.weight[1:] = changing.item_embedding.weight[1:].flip(0)
    after = retriever.top_k(HISTORIES, 5, Rules())
    assert before.codes.tolist() != after.codes.tolist()
