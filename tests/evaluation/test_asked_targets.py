"""What is asked is counted before anything is scored, as the evaluation then finds it."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from mltfr.baselines.popularity import Popularity
from mltfr.evaluation import EvaluationProtocol, SplitName, evaluate
from mltfr.evaluation.asked import TargetCounts, count_targets
from mltfr.interactions import UNKNOWN, Examples, Histories, Split, Vocabulary

ITEMS = 12


def made_split(users: int = 60, seed: int = 0) -> Split:
    """Return histories with repeats and unknown items, of which some users' last ones are held out."""
    random = np.random.default_rng(seed)
    sequences = [random.choice([UNKNOWN, *range(1, ITEMS + 1)], random.integers(4, 15)).tolist() for _ in range(users)]
    histories = Histories.from_sequences(sequences)
    validation, test = random.integers(0, 2, users), random.integers(0, 3, users)
    train = histories.lengths - validation - test

    def held_out(first: np.ndarray, length: np.ndarray) -> Examples:
        pairs = [(user, first[user] + place) for user in range(users) for place in range(length[user])]
        return Examples(*np.array(pairs, np.int64).T)

    return Split(
        method="made",
        user_ids=tuple(f"u{user}" for user in range(users)),
        vocabulary=Vocabulary(tuple(f"i{item}" for item in range(1, ITEMS + 1)), np.arange(ITEMS + 1)),
        histories=histories,
        train_length=train,
        validation=held_out(train, validation),
        test=held_out(train + validation, test),
    )


@pytest.mark.parametrize("split", get_args(SplitName))
@pytest.mark.parametrize("remove_seen", [True, False])
@pytest.mark.parametrize("average", ["examples", "users"])
@pytest.mark.parametrize("drawn", [None, 15])
@pytest.mark.parametrize("piece", [1, 70, 1 << 20])
def test_the_counts_are_those_of_the_evaluation(monkeypatch, split, remove_seen, average, drawn, piece):
    monkeypatch.setattr("mltfr.evaluation.asked.PIECE", piece)
    data = made_split()
    protocol = EvaluationProtocol(split="made", remove_seen=remove_seen, average=average, max_examples=drawn)
    scorer = Popularity.of_counts(data.vocabulary.counts)
    counts, result = count_targets(data, split, protocol), evaluate(scorer, data, split, protocol)
    found = (len(np.unique(result.user)), len(result.ranks.higher), result.unknown_targets, result.seen_targets)
    assert (counts.users, counts.targets, counts.unknown, counts.seen) == found
    assert counts.unknown > 0
    assert (counts.seen > 0) == remove_seen
    if average == "examples":
        assert counts.most == np.bincount(result.user).max()
    document = result.to_json()
    assert (document["unknown_targets"], document["seen_targets"]) == (counts.unknown, counts.seen)


def test_known_counts():
    histories = Histories.from_sequences([[1, 2, 1, 2, UNKNOWN], [3, 3, 1]])
    data = Split(
        method="made", user_ids=("u", "v"), vocabulary=Vocabulary(("a", "b", "c"), np.array([0, 1, 1, 1])),
        histories=histories, train_length=np.array([2, 1]),
        validation=Examples(np.zeros(0, np.int64), np.zeros(0, np.int64)),
        test=Examples(np.array([0, 0, 0, 1]), np.array([2, 3, 4, 2])),
    )  # fmt: skip
    protocol = EvaluationProtocol(split="made")
    assert count_targets(data, "test", protocol) == TargetCounts(users=2, targets=4, unknown=1, seen=2, most=3)
    assert count_targets(data, "validation", protocol) == TargetCounts(0, 0, 0, 0, 0)
