"""Evaluation end to end: ranks, splits, misses, slices, the document."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from mltfr.baselines.popularity import Popularity
from mltfr.errors import DataError, MltfrError, ProtocolError
from mltfr.evaluation import EvaluationProtocol, SplitName, evaluate, rank_targets
from mltfr.evaluation.comparison import compare
from mltfr.evaluation.ranks import MISS
from mltfr.inference import Rules, top_k
from mltfr.interactions import UNKNOWN, Examples, Histories, Split, Vocabulary


class RandomVectors:
    """Random item vectors against the mean of the history's: a real matrix product, without ties."""

    def __init__(self, items: int, seed: int = 0, levels: int | None = None) -> None:
        self.items = items
        random = np.random.default_rng(seed)
        vectors = random.normal(size=(items + 1, 16)) if levels is None else random.integers(0, levels, (items + 1, 2))
        self.vectors = torch.from_numpy(vectors.astype(np.float32))

    def queries(self, histories: Sequence[np.ndarray]) -> torch.Tensor:
        known = [history[history != UNKNOWN] for history in histories]
        return torch.stack([self.vectors[torch.from_numpy(h).long()].sum(0) for h in known])

    def scores(self, queries: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        return queries @ self.vectors[start:stop].T


def leave_one_out(sequences: list[list[int]], items: int) -> Split:
    histories = Histories.from_sequences(sequences)
    users, length = np.arange(len(sequences)), histories.lengths
    train = np.concatenate([np.array(s[:-2]) for s in sequences])
    counts = np.bincount(train[train > 0], minlength=items + 1)
    return Split(
        method="leave-one-out",
        user_ids=tuple(f"u{u}" for u in users),
        vocabulary=Vocabulary(tuple(f"i{i}" for i in range(1, items + 1)), counts),
        histories=histories,
        train_length=length - 2,
        validation=Examples(users, length - 2),
        test=Examples(users, length - 1),
    )


def random_split(users: int = 300, items: int = 200, seed: int = 0) -> Split:
    random = np.random.default_rng(seed)
    return leave_one_out([random.integers(1, items + 1, random.integers(3, 40)).tolist() for _ in range(users)], items)


def inputs_and_targets(data: Split, split: str) -> tuple[list[np.ndarray], list[int]]:
    back = {"validation": 2, "test": 1}[split]
    sequences = list(data.histories)
    return [s[: len(s) - back] for s in sequences], [int(s[len(s) - back]) for s in sequences]


@pytest.mark.parametrize("split", get_args(SplitName))
@pytest.mark.parametrize("remove_seen", [True, False])
@pytest.mark.parametrize("levels", [None, 2])
def test_ranks_equal_their_definition(split: SplitName, remove_seen: bool, levels: int | None) -> None:
    data = random_split()
    scorer = RandomVectors(200, levels=levels)
    protocol = EvaluationProtocol(split="leave-one-out", remove_seen=remove_seen)
    result = evaluate(scorer, data, split, protocol)
    missed = 0
    for example, (history, target) in enumerate(zip(*inputs_and_targets(data, split), strict=True)):
        if remove_seen and target in history:
            assert (result.ranks.higher[example], result.ranks.tied[example]) == (MISS, 0)
            missed += 1
            continue
        scores = scorer.scores(scorer.queries([history]), 1, 201)[0].double().round(decimals=4)
        candidates = [c for c in range(1, 201) if not (remove_seen and c in history) and c != target]
        higher = sum(bool(scores[c - 1] > scores[target - 1]) for c in candidates)
        tied = sum(bool(scores[c - 1] == scores[target - 1]) for c in candidates)
        assert (result.ranks.higher[example], result.ranks.tied[example]) == (higher, tied)
    assert (missed > 0) == remove_seen


@pytest.mark.parametrize("remove_seen", [True, False])
def test_metrics_can_be_recomputed_from_top_lists(remove_seen: bool) -> None:
    split = random_split(users=700)
    scorer = RandomVectors(200)
    protocol = EvaluationProtocol(split="leave-one-out", remove_seen=remove_seen)
    metrics = evaluate(scorer, split, "test", protocol).metrics
    histories, targets = inputs_and_targets(split, "test")
    lists = top_k(scorer, histories, 20, Rules(remove_seen=remove_seen)).codes
    for k in (5, 10, 20):
        places = [row[:k].tolist().index(t) + 1 for row, t in zip(lists, targets, strict=True) if t in row[:k]]
        assert metrics[f"hr@{k}"] == pytest.approx(len(places) / 700, abs=1e-12)
        assert metrics[f"ndcg@{k}"] == pytest.approx((1 / np.log2(np.array(places) + 1)).sum() / 700, abs=1e-12)
        assert metrics[f"mrr@{k}"] == pytest.approx((1 / np.array(places)).sum() / 700, abs=1e-12)


def test_unknown_and_repeated_targets_are_misses_and_counted() -> None:
    split = leave_one_out([[1, 2, 3, UNKNOWN], [1, 2, 3, 1], [1, 2, 3, 4]], items=4)
    scorer = Popularity.of_counts(np.array([0, 9, 8, 7, 6]))
    result = evaluate(scorer, split, "test")
    assert result.per_example["hr@20"].tolist() == [0, 0, 1]  # more places than items: a miss is still one
    assert result.unknown_targets == 1
    kept = evaluate(scorer, split, "test", EvaluationProtocol(split="leave-one-out", remove_seen=False))
    assert kept.per_example["mrr@5"].tolist() == [0, 1, 1 / 4]


def test_a_target_is_never_beaten_by_itself() -> None:
    """With one item and its score alone, any rounding between two ways to compute it would show."""
    split = random_split(users=600, items=3000)
    result = evaluate(RandomVectors(3000), split, "test", EvaluationProtocol(split="leave-one-out", remove_seen=False))
    assert (result.ranks.tied == 0).all()
    assert (result.ranks.higher >= 0).all()


def test_all_items_tied_is_chance() -> None:
    split = random_split(items=200)
    protocol = EvaluationProtocol(split="leave-one-out", remove_seen=False)
    metrics = evaluate(Popularity.of_counts(np.ones(201, np.int64)), split, "test", protocol).metrics
    assert metrics["hr@10"] == pytest.approx(10 / 200)


def test_scores_that_are_not_numbers_are_an_error_and_no_perfect_rank() -> None:
    scorer = RandomVectors(200)
    scorer.vectors[:] = torch.nan
    with pytest.raises(MltfrError, match="training has diverged"):
        evaluate(scorer, random_split(), "validation")


def test_its_text_is_short() -> None:
    result = evaluate(RandomVectors(200), random_split(), "test", details=True)
    text = repr(result)
    assert re.match(r"Evaluation\(test, 300 users, hr@5 0\.\d{4}, ", text)
    assert text.endswith(f"protocol {result.protocol.hash})")
    assert len(text) < 300


def test_evaluations_are_paired_only_on_the_same_examples() -> None:
    split = random_split()
    first = evaluate(RandomVectors(200), split, "test")
    other = evaluate(RandomVectors(200, seed=1), split, "test")
    assert compare({"first": first, "other": other}).pairs[0].test.difference
    others = [random_split(seed=1)]  # as many users, other histories
    others.append(replace(split, user_ids=tuple(f"v{u}" for u in range(300))))
    others.append(replace(split, vocabulary=Vocabulary(tuple(f"j{i}" for i in range(200)), split.vocabulary.counts)))
    for other in others:
        second = evaluate(RandomVectors(200), other, "test")
        assert np.array_equal(first.user, second.user)
        with pytest.raises(ProtocolError, match=r"first and second .* different examples.*Fit both on the same log"):
            compare({"first": first, "second": second})


def test_document() -> None:
    split = random_split()
    result = evaluate(RandomVectors(200), split, "test", details=True)
    document = json.loads(json.dumps(result.to_json("runs/x")))
    assert list(document)[:3] == ["run", "split", "users"]
    assert (document["run"], document["split"], document["users"], document["examples"]) == ("runs/x", "test", 300, 300)
    assert document["protocol"]["split"] == "leave-one-out"
    assert document["protocol_hash"] == EvaluationProtocol(split="leave-one-out").hash
    assert set(document["metrics"]) == {f"{name}@{k}" for name in ("hr", "ndcg", "mrr") for k in (5, 10, 20)}
    for slices in document["slices"].values():
        assert sum(cut["examples"] for cut in slices.values()) == 300
        whole = sum(cut["examples"] * cut["hr@20"] for cut in slices.values()) / 300
        assert whole == pytest.approx(document["metrics"]["hr@20"])
    assert set(document["beyond_accuracy"]) >= {"coverage@10", "gini@10", "novelty@10", "popularity_bias@10"}
    plain = evaluate(RandomVectors(200), split, "test").to_json()
    assert plain["metrics"] == document["metrics"]
    assert "slices" not in plain


def test_a_sample_is_the_same_every_time_and_part_of_the_protocol() -> None:
    split = random_split()
    protocol = EvaluationProtocol(split="leave-one-out", max_examples=50)
    first, second = (evaluate(RandomVectors(200), split, "validation", protocol) for _ in range(2))
    assert len(first.user) == 50
    assert np.array_equal(first.user, second.user)
    whole = evaluate(RandomVectors(200), split, "validation")
    assert whole.protocol.hash != protocol.hash
    assert np.array_equal(first.per_example["ndcg@10"], whole.per_example["ndcg@10"][first.user])


def test_the_protocol_must_be_for_the_split() -> None:
    with pytest.raises(ProtocolError, match="The protocol is for 'global-time', but the split is 'leave-one-out'"):
        evaluate(RandomVectors(200), random_split(), "test", EvaluationProtocol(split="global-time"))


def test_an_empty_split_is_an_error() -> None:
    split = leave_one_out([[1, 2, 3]], 3)
    empty = Split(**{**vars(split), "validation": Examples(np.zeros(0, np.int64), np.zeros(0, np.int64))})
    with pytest.raises(DataError, match="The validation split holds no example"):
        evaluate(RandomVectors(3), empty, "validation")


def test_targets_outside_the_allow_list_are_misses() -> None:
    ranks, lists = rank_targets(
        Popularity.of_counts(np.array([0, 3, 2, 1])),
        [np.array([], np.int32)] * 2,
        np.array([1, 3]),
        Rules(allow=[2, 3]),
        lists=3,
    )
    assert ranks.higher.tolist() == [MISS, 1]
    assert lists.codes.tolist() == [[2, 3, 0]] * 2


def test_a_target_that_is_no_item_is_a_miss() -> None:
    histories, targets = [np.array([2], np.int32)] * 3, np.array([UNKNOWN, 0, 1])
    ranks, _ = rank_targets(RandomVectors(5), histories, targets, Rules())
    assert ranks.higher[:2].tolist() == [MISS, MISS]
    assert ranks.tied[:2].tolist() == [0, 0]
    assert ranks.higher[2] < 4
