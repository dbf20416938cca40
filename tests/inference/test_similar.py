"""Similar items: several at once are what each is alone, in one form for all kinds of recommenders."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from mltfr import Recommender
from mltfr.errors import ConfigError, DataError, MltfrWarning
from mltfr.inference import similar, similar_items
from mltfr.interactions import Vocabulary
from mltfr.training import Callback

SCHEMA = {"similar_to": pl.String, "rank": pl.Int64, "item_id": pl.String, "similarity": pl.Float32}
SMALL = ["backbone.hidden=8", "backbone.max_length=4", "training.samples=positions"]


@pytest.fixture(scope="module", params=["item-knn", "ease", "ease-recent", "sasrec"])
def fitted(request: pytest.FixtureRequest) -> Recommender:
    """Return a recommender of a ring of 12 items, 5 of which every user has."""
    rows = [(user, (user + step) % 12 + 1, step) for user in range(1, 21) for step in range(5)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    network: dict[str, Any] = {"fusion": "none", "epochs": 1, "settings": SMALL} if request.param == "sasrec" else {}
    return Recommender(backbone=request.param, **network).fit(log, callback=Callback())


def test_several_items_are_what_each_is_alone(fitted: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = pl.concat([fitted.similar_items(item, k=3) for item in (3, "11", 3)])
    assert alone.schema == SCHEMA
    assert alone["rank"].to_list() == [1, 2, 3] * 3
    assert not (alone["similar_to"] == alone["item_id"]).any()
    for block in (similar.BLOCK_SCORES, 1):
        monkeypatch.setattr(similar, "BLOCK_SCORES", block)
        together = fitted.similar_items(np.array([3, 11, 3]), k=3)
        assert together.drop("similarity").equals(alone.drop("similarity"))
        np.testing.assert_allclose(together["similarity"], alone["similarity"], rtol=1e-6)
    assert fitted.similar_items([], k=3).schema == SCHEMA
    assert len(fitted.similar_items([3], k=10**6)) <= 11


def test_unknown_items_are_left_out_and_said(fitted: Recommender) -> None:
    with pytest.warns(MltfrWarning, match=r"no similar items: 2 \(x, y\)"):
        found = fitted.similar_items(["x", 3, "y"], k=2)
    assert found["similar_to"].to_list() == ["3", "3"]
    with pytest.raises(DataError, match="Item 'x' does not occur in the training data"):
        fitted.similar_items(["x", "y"])
    for odd, said in (({"3": 1}, "items is a dict"), ([None], "items: place 0"), ([[3]], "items: place 0 is a list")):
        with pytest.raises(DataError, match=said):
            fitted.similar_items(odd)
    with pytest.raises(ConfigError, match="k is 0"):
        fitted.similar_items([3], k=0)


def test_names_stand_behind_the_ids(fitted: Recommender) -> None:
    names = {item: f"Film {item}" for item in range(1, 12)}
    with pytest.warns(MltfrWarning, match=r"names: items without a name: 1 of 12 \(12\)"):
        found = fitted.similar_items([3, 12], k=4, names=names)
    assert found.columns == ["similar_to", "similar_to_name", "rank", "item_id", "name", "similarity"]
    for id_, name in (("similar_to", "similar_to_name"), ("item_id", "name")):
        assert found[name].to_list() == [None if item == "12" else f"Film {item}" for item in found[id_]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found.drop("similar_to_name", "name").equals(fitted.similar_items([3, 12], k=4))


def test_equal_similarities_come_in_the_order_of_the_codes() -> None:
    vocabulary = Vocabulary(tuple("abcdef"), np.ones(7, np.int64))
    values = torch.tensor([[0.0, 0.5, 0.5, 0.5, -torch.inf, 0.7]])
    found = similar_items(vocabulary, lambda codes: values[codes - 1].clone(), "a", 5)
    assert found["item_id"].to_list() == ["f", "b", "c", "d"]
