"""Every baseline keeps the contract, with its defaults and with settings far from them."""

from __future__ import annotations

from typing import Any, ClassVar

from mltfr.baselines import BASELINES
from mltfr.testing.baseline import BaselineContract


class TestPopularity(BaselineContract):
    name = "popularity"


class TestMarkov(BaselineContract):
    name = "markov"


class TestFirstOrderMarkov(BaselineContract):
    name = "markov"
    settings: ClassVar[dict[str, Any]] = {"lags": 1, "newest": 1, "smoothing": 300.0}


class TestMarkovOfManyLags(BaselineContract):
    name = "markov"
    settings: ClassVar[dict[str, Any]] = {"lags": 50, "lag_decay": 1.0, "newest": 5, "decay": 0.7, "smoothing": 40.0}


class TestItemKNN(BaselineContract):
    name = "item-knn"


class TestItemKNNConditional(BaselineContract):
    name = "item-knn"
    settings: ClassVar[dict[str, Any]] = {
        "similarity": "conditional", "neighbours": 3, "shrinkage": 0.0, "recent": 1.0, "users": "by length", "lags": 3
    }  # fmt: skip


class TestItemKNNOfTheTextbooks(BaselineContract):
    name = "item-knn"
    settings: ClassVar[dict[str, Any]] = {"lags": 0, "recent": 1.0}


class TestNameKNN(BaselineContract):
    name = "name-knn"


class TestNameKNNWithoutOrder(BaselineContract):
    name = "name-knn"
    settings: ClassVar[dict[str, Any]] = {"recent": 1.0}


class TestEASE(BaselineContract):
    name = "ease"


class TestRecentEASE(BaselineContract):
    name = "ease-recent"


class TestRecentEASEWithFewWeights(BaselineContract):
    name = "ease-recent"
    settings: ClassVar[dict[str, Any]] = {"keep": 5, "l2": 1.0, "recent": 1.0}


def test_every_baseline_is_tested() -> None:
    assert {contract.name for contract in BaselineContract.__subclasses__()} == set(BASELINES.names())
