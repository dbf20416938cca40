"""Fidelity: a planted cause is found, what knows nothing is level with chance, and measures are what they say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from mltfr import Recommender
from mltfr.errors import ConfigError, DataError
from mltfr.explain.fidelity import METRICS
from mltfr.explain.orders import OWN, POPULAR, RANDOM, RECENT
from mltfr.training import Callback

PAIRS, FILLERS, LENGTH = 30, 90, 8
SMALL = [
    "backbone.hidden=32", "backbone.blocks=1", "backbone.heads=1", "backbone.max_length=12", "backbone.dropout=0.1",
    "training.samples=positions", "training.batch_size=64", "training.learning_rate=0.005",
    "evaluation.baselines=false",
]  # fmt: skip


def planted(users: int, seed: int) -> list[list[str]]:
    """Return histories of random items, in which every a_j calls a b_j next; each item comes once."""
    random = np.random.default_rng(seed)
    histories = []
    for _ in range(users):
        fillers, pairs = random.permutation(FILLERS).tolist(), random.permutation(PAIRS).tolist()
        steps = [[f"f{fillers.pop()}"] if random.random() < 0.5 else _pair(pairs.pop()) for _ in range(LENGTH)]
        histories.append([item for step in steps for item in step])
    return histories


def _pair(number: int) -> list[str]:
    return [f"a{number}", f"b{number}"]


def table(histories: list[list[str]]) -> pl.DataFrame:
    rows = [(f"u{user}", item, step) for user, items in enumerate(histories) for step, item in enumerate(items)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


def fit(backbone: str, histories: list[list[str]], **more: Any) -> Recommender:
    return Recommender(backbone=backbone, **more).fit(table(histories), callback=Callback())


@pytest.fixture(scope="module")
def trained() -> Recommender:
    """Return a network that has learned that a_j calls b_j."""
    return fit("sasrec", planted(400, 0), fusion="none", epochs=18, settings=SMALL)


def test_a_planted_cause_is_the_first_item_of_the_explanation(trained: Recommender) -> None:
    first = dropped = 0
    for number, history in enumerate(planted(100, 1)):
        effect = f"b{number % PAIRS}"
        before = [item for item in history if item[1:] != effect[1:] or item[0] == "f"]
        (each,) = trained.explain(histories=[[*before, f"a{effect[1:]}"]], items=[effect], k=10)
        first += each.contributions[0].item_id == f"a{effect[1:]}"
        dropped += each.fidelity[OWN][0].rank > 10
    assert first >= 95
    assert dropped > 80                                                  # POS@10,1 below .2


def test_the_explanations_beat_orders_that_know_nothing(trained: Recommender) -> None:
    found = trained.fidelity(k=10, users=60)
    assert list(found.means) == [OWN, RANDOM, RECENT, POPULAR]
    assert set(found.against) == {RANDOM, RECENT, POPULAR}
    for metric in ("pos", "del"):
        for each in found.against[RANDOM][metric]:
            assert each.better
            assert each.high < 0


def test_measures_are_what_they_say(trained: Recommender) -> None:
    """All five by hand, through `recommend` with the whole history denied."""
    found, fitted = trained.fidelity(k=3, users=5), trained.fitted
    assert (found.users, found.skipped, found.k, found.unit) == (5, 0, 3, "logit")
    by_hand: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for user in np.linspace(0, len(fitted.split.histories) - 1, 5).astype(int).tolist():
        codes = fitted.split.histories[user]
        whole, read = fitted.split.vocabulary.decode(codes), fitted.split.vocabulary.decode(codes[-12:])
        best = trained.recommend(histories=[whole], k=1)["item_id"][0]
        (each,) = trained.explain(histories=[whole], items=[best])
        order = [one.item_id for one in each.contributions if one.read]
        lists = []
        for left in (set(order[2:]), set(order[:-2]), set(order[:2])):
            history = [item for item in read if item in left]
            table = trained.recommend(histories=[history], k=150, deny=whole)
            lists.append(table.filter(item_id=best).row(0, named=True))
        first, last, alone = lists
        by_hand["pos"].append(first["rank"] <= 3)
        by_hand["neg"].append(last["rank"] <= 3)
        by_hand["del"].append(first["score"])
        by_hand["ins"].append(alone["score"])
        by_hand["ndcg"].append(1 / np.log2(1 + first["rank"]))
    for metric, values in by_hand.items():
        assert found.means[OWN][metric][1] == pytest.approx(np.mean(values), abs=1e-4), metric


def test_what_does_not_read_histories_is_level_with_every_order() -> None:
    found = fit("popularity", planted(40, 2)).fidelity(k=5)
    assert set(found.means[OWN]["pos"]) == {1.0}
    for orders in found.against.values():
        for metric in METRICS:
            assert all((each.difference, each.low, each.high) == (0, 0, 0) for each in orders[metric])
            assert not any(each.better or each.worse for each in orders[metric])


def test_it_is_a_document_and_the_same_twice() -> None:
    recommender = fit("item-knn", planted(40, 3))
    one, two = recommender.fidelity(users=20), recommender.fidelity(users=20)
    assert one == two
    document = json.loads(json.dumps(one.to_json(), allow_nan=False))
    assert document["means"][OWN]["pos"] == list(one.means[OWN]["pos"])
    assert one.users <= 20
    assert one.unit == "sum of similarities"


def test_too_few_items_are_told() -> None:
    recommender = fit("popularity", [["a", "b", "c", "d"]] * 10)
    with pytest.raises(DataError, match="Fidelity removes up to 5 items, but 0 of 10 users"):
        recommender.fidelity()
    with pytest.raises(ConfigError, match="k is 0"):
        recommender.fidelity(k=0)
