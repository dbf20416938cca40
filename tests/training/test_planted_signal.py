"""A fusion that reads its table finds what is planted in it; one whose table means nothing does not.

The fits take one seed, on which the difference is large, so that the outcome does not hang on a machine's rounding.
`benchmarks/planted.py` shows nine others too, all of which are found.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from mltfr.interactions import Split
from mltfr.testing.planted import PlantedConfig, PlantedSignal, planted_signal
from mltfr.testing.planted_trial import Kind, PlantedTrial, planted_trial

KINDS = get_args(Kind)
SEED = 1
HALF = PlantedConfig(train_users=8000, held_out_users=500)
"""Half the users of the benchmark's signal: mltfr keeps 66 % of the planted tokens, the controls 4 % at most."""


@pytest.fixture(scope="module")
def signal() -> PlantedSignal:
    return planted_signal(HALF, seed=SEED)


@pytest.fixture(scope="module")
def trials(signal: PlantedSignal) -> dict[str, PlantedTrial]:
    return {kind: planted_trial(signal, kind, SEED) for kind in KINDS}


@pytest.mark.slow
def test_the_filter_keeps_the_planted_tokens(signal: PlantedSignal, trials: dict[str, PlantedTrial]) -> None:
    assert trials["mltfr"].hit_rate > 20 * trials["mltfr"].chance
    test = signal.token[signal.split.test.user]
    favourites = np.sort(np.bincount(test))[-8:].sum() / len(test)  # of who keeps the same 8 tokens for everybody
    assert trials["mltfr"].hit_rate > 3 * favourites
    assert trials["random"].hit_rate < 5 * trials["random"].chance
    assert trials["shuffled"].hit_rate < 5 * trials["shuffled"].chance


@pytest.mark.slow
def test_mltfr_beats_the_bare_backbone_and_tables_that_mean_nothing(trials: dict[str, PlantedTrial]) -> None:
    found = trials["mltfr"].ndcg
    assert found > 1.5 * trials["bare"].ndcg
    assert found > 1.5 * trials["random"].ndcg
    assert found > 1.5 * trials["shuffled"].ndcg


@pytest.mark.slow
def test_with_the_table_shuffled_the_gain_is_gone(trials: dict[str, PlantedTrial]) -> None:
    gain = trials["mltfr"].ndcg - trials["bare"].ndcg
    assert trials["shuffled"].ndcg - trials["bare"].ndcg < 0.4 * gain


def test_the_truth_is_what_the_log_was_drawn_by(signal: PlantedSignal) -> None:
    """Users nearest to one token get its answers: the same place, the same distribution."""
    answers = np.array([history[-1] for history in signal.split.histories])
    order = np.argsort(signal.angles[signal.token], kind="stable")
    places, given = signal.angles[signal.token][order], answers[order]
    close = np.diff(places) < 0.005
    same = (given[1:] == given[:-1])[close].mean()
    shuffled = np.random.default_rng(0).permutation(given)
    assert same > 3 * (given == shuffled).mean()
    assert 0.6 < signal.best_ndcg < 0.95


def test_hidden_places_and_held_out_answers_never_reach_training(signal: PlantedSignal) -> None:
    split: Split = signal.split
    trained = split.train_length > 0
    held_out = np.concatenate([split.validation.user, split.test.user])
    assert not trained[held_out].any()
    assert trained.sum() + len(held_out) == len(split.histories)
    assert not set(signal.token[trained]) & set(signal.token[held_out]), "a hidden place was trained on"
    assert len(np.intersect1d(split.validation.user, split.test.user)) == 0
    assert (split.targets(split.test) > PlantedConfig().cue_items).all()


def test_hits_are_counted_up_to_the_orientation(signal: PlantedSignal) -> None:
    user = signal.split.test.user
    generator = np.random.default_rng(1)
    turned = (np.cos(-signal.angles[signal.token[user], None] + np.pi / 3 - signal.angles)).argmax(1)
    others = generator.integers(len(signal.angles), size=(len(user), 7))
    assert signal.hit_rate(np.column_stack([turned, others]), user) > 0.95
    assert signal.hit_rate(generator.integers(len(signal.angles), size=(len(user), 8)), user) < 0.06


def test_the_same_seed_gives_the_same_signal(signal: PlantedSignal) -> None:
    again, other = planted_signal(HALF, seed=SEED), planted_signal(HALF, seed=SEED + 1)
    assert np.array_equal(again.table.vectors, signal.table.vectors)
    assert np.array_equal(again.split.histories.items, signal.split.histories.items)
    assert not np.array_equal(other.table.vectors, signal.table.vectors)


def test_a_narrow_table_is_refused() -> None:
    with pytest.raises(ValueError, match="width is 6, but place and facts take 8 columns"):
        planted_signal(PlantedConfig(width=6))
