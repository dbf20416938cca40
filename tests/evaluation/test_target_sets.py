"""One list a user against all targets: by hand, against enumeration of ties, against ranx, and end to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltfr.baselines.popularity import Popularity
from mltfr.evaluation import EvaluationProtocol, Ranks, evaluate, rank_metrics
from mltfr.evaluation.protocol import DEFINITIONS
from mltfr.evaluation.ranks import MISS
from mltfr.evaluation.target_sets import target_set_metrics
from mltfr.interactions import UNKNOWN, Examples, Histories, Split, Vocabulary

ALL = tuple(DEFINITIONS["users"])
CUTOFFS = (1, 3, 5)


def without_ties(ranked: Sequence[Sequence[int]]) -> tuple[Ranks, np.ndarray]:
    """Return users whose targets have these ranks, from 1; 0 is a miss."""
    user = np.repeat(np.arange(len(ranked)), [len(ranks) for ranks in ranked])
    higher = np.array([rank - 1 if rank else MISS for ranks in ranked for rank in ranks])
    return Ranks(higher, np.zeros(len(user), np.int64)), user


def definition(found: Sequence[int], targets: int, k: int) -> dict[str, float]:
    """Return the metrics of a user whose targets in the list are at these ranks, by loops over the formulas."""
    hits = sorted(rank for rank in found if rank <= k)
    return {
        "hr": float(bool(hits)),
        "ndcg": sum(1 / log2(r + 1) for r in hits) / sum(1 / log2(r + 1) for r in range(1, min(k, targets) + 1)),
        "mrr": 1 / hits[0] if hits else 0.0,
        "recall": len(hits) / targets,
        "precision": len(hits) / k,
        "map": sum((n + 1) / rank for n, rank in enumerate(hits)) / min(k, targets),
    }


def test_known_values() -> None:
    """Targets at ranks 2 and 3 of three, and at 1 of one; then a user without any."""
    metrics = target_set_metrics(*without_ties([[3, 0, 2], [1], [0, 9]]), ALL, (3,))
    assert list(metrics) == ["hr@3", "ndcg@3", "mrr@3", "recall@3", "precision@3", "map@3"]
    assert metrics["hr@3"].tolist() == [1, 1, 0]
    assert metrics["mrr@3"].tolist() == [1 / 2, 1, 0]
    assert metrics["recall@3"].tolist() == [2 / 3, 1, 0]
    assert metrics["precision@3"].tolist() == [2 / 3, 1 / 3, 0]
    assert metrics["map@3"] == pytest.approx([(1 / 2 + 2 / 3) / 3, 1, 0])
    ideal = 1 + 1 / log2(3) + 1 / 2
    assert metrics["ndcg@3"] == pytest.approx([(1 / log2(3) + 1 / 2) / ideal, 1, 0])
    few = target_set_metrics(*without_ties([[1, 2, 3, 4]]), ALL, (2,))
    assert {name: values.tolist() for name, values in few.items()} == {  # a list that begins with all targets is best
        "hr@2": [1], "ndcg@2": [1], "mrr@2": [1], "recall@2": [1 / 2], "precision@2": [1], "map@2": [1],
    }  # fmt: skip


USERS = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=6).flatmap(  # scores of the items; few values, so many ties
        lambda scores: st.tuples(
            st.just(scores), st.sets(st.integers(0, len(scores) - 1), min_size=1), st.integers(0, 2)
        )
    ),
    min_size=1, max_size=3,
)  # fmt: skip


@settings(derandomize=True, max_examples=60, deadline=None)
@given(USERS)
def test_under_ties_equal_to_the_mean_over_all_orders(users: list[tuple[list[int], set[int], int]]) -> None:
    higher, tied, owner, expected = [], [], [], []
    for user, (scores, targets, missing) in enumerate(users):
        for target in targets:
            higher.append(sum(score > scores[target] for score in scores))
            tied.append(sum(score == scores[target] for score in scores) - 1)
        higher += [MISS] * missing
        tied += [0] * missing
        owner += [user] * (len(targets) + missing)
        expected.append([
            definition([place + 1 for place, item in enumerate(order) if item in targets], len(targets) + missing, k)
            for k in CUTOFFS for order in _orders(scores)
        ])  # fmt: skip
    metrics = target_set_metrics(Ranks(np.array(higher), np.array(tied)), np.array(owner), ALL, CUTOFFS)
    for user, found in enumerate(expected):
        orders = len(found) // len(CUTOFFS)
        for number, k in enumerate(CUTOFFS):
            of_k = found[number * orders : (number + 1) * orders]
            for name in ALL:
                mean = sum(values[name] for values in of_k) / orders
                assert metrics[f"{name}@{k}"][user] == pytest.approx(mean, abs=1e-12), name


def _orders(scores: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield every order of the items in which no better one comes later."""
    for order in permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            yield order


def test_equal_to_ranx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    ranx = pytest.importorskip("ranx")
    random = np.random.default_rng(0)
    ranked = [sorted(random.choice(60, random.integers(1, 9), replace=False) + 1) for _ in range(12)]
    lists = {f"u{u}": {f"i{r}": float(100 - r) for r in range(1, 61)} for u in range(12)}
    truth = {f"u{u}": {f"i{r}": 1 for r in ranks} for u, ranks in enumerate(ranked)}
    theirs = {"hr": "hit_rate", "ndcg": "ndcg", "mrr": "mrr", "recall": "recall", "precision": "precision"}
    metrics = target_set_metrics(*without_ties(ranked), ALL, (5, 10))
    for k in (5, 10):
        expected = ranx.evaluate(ranx.Qrels(truth), ranx.Run(lists), [f"{name}@{k}" for name in theirs.values()])
        for ours, name in theirs.items():
            assert metrics[f"{ours}@{k}"].mean() == pytest.approx(expected[f"{name}@{k}"], abs=1e-9)


def test_one_target_is_the_same_in_both_ways() -> None:
    random = np.random.default_rng(0)
    ranks = Ranks(random.integers(0, 30, 200), random.integers(0, 10, 200))
    both = (rank_metrics(ranks, ALL, CUTOFFS), target_set_metrics(ranks, np.arange(200), ALL, CUTOFFS))
    for name, values in both[0].items():
        assert both[1][name] == pytest.approx(values, abs=1e-12)
    for k in CUTOFFS:
        assert np.array_equal(both[0][f"recall@{k}"], both[0][f"hr@{k}"])
        assert np.array_equal(both[0][f"map@{k}"], both[0][f"mrr@{k}"])
        assert both[0][f"precision@{k}"] == pytest.approx(both[0][f"hr@{k}"] / k)


def later_items(sequences: list[list[int]], cuts: list[int], items: int = 6) -> Split:
    """Return a split by time: all of a user's items from `cut` on are test targets."""
    histories, users = Histories.from_sequences(sequences), range(len(sequences))
    test = [(user, cut) for user in users for cut in range(cuts[user], len(sequences[user]))]
    return Split(
        method="global-time",
        user_ids=tuple(f"u{user}" for user in users),
        vocabulary=Vocabulary(tuple(f"i{i}" for i in range(1, items + 1)), np.array([0, 60, 50, 40, 30, 20, 10])),
        histories=histories,
        train_length=np.array(cuts),
        validation=Examples(np.zeros(0, np.int64), np.zeros(0, np.int64)),
        test=Examples(*np.array(test, np.int64).T),
    )


SEQUENCES = [[1, 2, 5, 3, 5, UNKNOWN], [4, 1], [2, 3, 2, 1, 6]]
SPLIT = later_items(SEQUENCES, [2, 1, 2])
BY_USERS = EvaluationProtocol(split="global-time", average="users", metrics=ALL, cutoffs=(1, 2, 4))
POPULARITY = Popularity.of_counts(SPLIT.vocabulary.counts)


def test_every_user_has_one_list_from_the_history_before_all_targets() -> None:
    """u0 gets 3 4 5 6, wants 5, 3 and an unknown item; u1 gets 1 2 3 5, wants 1; u2 gets 1 4 5 6, wants 2, 1, 6."""
    result = evaluate(POPULARITY, SPLIT, "test", BY_USERS, details=True)
    assert result.user.tolist() == [0, 1, 2]
    assert result.ranks.higher.tolist() == [2, 0, MISS, 0, MISS, 0, 3]
    expected = [definition([1, 3], 3, 2), definition([1], 1, 2), definition([1, 4], 3, 2)]  # the repeated 2 is a miss
    for name in ALL:
        assert result.per_example[f"{name}@2"] == pytest.approx([found[name] for found in expected]), name
        assert result.metrics[f"{name}@2"] == pytest.approx(np.mean([found[name] for found in expected]))
    document = result.to_json()
    assert [document[key] for key in ("users", "examples", "targets", "unknown_targets")] == [3, 3, 7, 1]
    assert result.beyond_accuracy["coverage@1"] == 2 / 6  # of three lists, not of seven
    lengths = result.slices["history_length"]["1-5"]
    assert lengths == {"examples": 3, **result.metrics}
    assert result.slices["target_popularity"]["unknown"] == {"examples": 1, **dict.fromkeys(result.metrics, 0.0)}
    head = result.slices["target_popularity"]["head"]  # targets 1 and 2: of u1 and u2
    assert (head["examples"], head["recall@1"]) == (2, (1 + 1 / 2) / 2)


def test_a_user_with_many_targets_counts_once() -> None:
    by_examples = evaluate(POPULARITY, SPLIT, "test", EvaluationProtocol(split="global-time"))
    assert len(by_examples.user) == 8
    assert "targets" not in by_examples.to_json()
    more = later_items([*SEQUENCES[:2], [2, 3, *[6] * 50]], [2, 1, 2])
    assert evaluate(POPULARITY, more, "test", BY_USERS).ranks.higher.tolist()[4:] == [3]


def test_items_that_training_has_not_seen_are_a_target_each() -> None:
    unknown = evaluate(POPULARITY, later_items([[1, UNKNOWN, UNKNOWN, 2, 2]], [1]), "test", BY_USERS)
    assert unknown.ranks.higher.tolist() == [MISS, MISS, 0]
    assert (unknown.unknown_targets, unknown.metrics["recall@4"]) == (2, pytest.approx(1 / 3))


def test_a_sample_is_one_of_users_with_all_their_targets() -> None:
    drawn = evaluate(POPULARITY, SPLIT, "test", BY_USERS.model_copy(update={"max_examples": 2}))
    assert len(drawn.user) == 2
    whole = evaluate(POPULARITY, SPLIT, "test", BY_USERS)
    for name, values in drawn.per_example.items():
        assert values == pytest.approx(whole.per_example[name][drawn.user])


def test_shards_of_an_evaluation_give_the_same() -> None:
    def shard(count: int, rank) -> Ranks:
        parts = [rank(slice(start, min(start + 3, count))) for start in range(0, count, 3)]
        return Ranks(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("higher", "tied")))

    assert evaluate(POPULARITY, SPLIT, "test", BY_USERS, shard=shard).metrics == (
        evaluate(POPULARITY, SPLIT, "test", BY_USERS).metrics
    )


def test_the_protocol_says_what_is_averaged_and_defines_what_is_measured() -> None:
    usual = EvaluationProtocol(split="global-time")
    assert list(usual.document()) == [
        "split", "candidates", "remove_seen", "ties", "unknown_targets", "average", "hr", "ndcg", "mrr", "cutoffs",
        "max_examples", "sample_seed",
    ]  # fmt: skip
    document = BY_USERS.document()
    assert document["average"] == "users"
    assert document["lists"].startswith("one a user, from the history before the first target")
    assert document["recall"] == "targets in the first k / targets"
    plain = BY_USERS.model_copy(update={"metrics": ("hr",)})
    assert "recall" not in plain.document()
    hashes = {protocol.hash for protocol in (usual, BY_USERS, plain, plain.model_copy(update={"average": "examples"}))}
    assert len(hashes) == 4
    mixed = EvaluationProtocol(split="global-time", metrics=("map", "hr"))
    assert mixed.metric_names == ["hr@5", "hr@10", "hr@20", "map@5", "map@10", "map@20"]
