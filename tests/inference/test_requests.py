"""Ids and histories that people hand over from Python: read alike, or refused in one line, and what is missing said."""

from __future__ import annotations

import collections
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mltfr import Recommender
from mltfr.errors import ConfigError, DataError, MltfrWarning
from mltfr.training import Callback

LISTS = [[10, 3], [4]]
BY_USER = pd.DataFrame({"user_id": ["a", "b"], "items": LISTS})
LOG = pd.DataFrame({"user_id": ["a", "b", "a"], "item_id": [3, 4, 10], "timestamp": [6, 1, 5]})


@pytest.fixture(scope="module")
def fitted() -> Recommender:
    """Return a recommender of 20 users, each of whom has 5 of 12 items; user and item ids are whole numbers."""
    rows = [(user, (user + step) % 12 + 1, step) for user in range(1, 21) for step in range(5)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return Recommender(backbone="item-knn").fit(log, callback=Callback())


@pytest.fixture(scope="module")
def expected(fitted: Recommender) -> list[str]:
    return fitted.recommend(histories=[["10", "3"], ["4"]], k=3)["item_id"].to_list()


def answer(fitted: Recommender, **asked: Any) -> tuple[pl.DataFrame, list[str]]:
    """Return the recommendations and what was said of them."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        table = fitted.recommend(**{"k": 3, **asked})
    assert all(issubclass(warning.category, MltfrWarning) for warning in said)
    return table, [str(warning.message) for warning in said]


PLAIN: dict[str, Any] = {
    "numbers": LISTS,
    "floats": [[10.0, 3.0], [4.0]],
    "exact numbers": [[Decimal("10.0"), 3], (np.uint64(4),)],
    "arrays": [np.array([10, 3]), np.array(["4"])],
    "array of arrays": np.array([np.array([10, 3]), np.array([4])], dtype=object),
    "series with an index": [pd.Series([10, 3], index=["y", "x"]), pd.Series(["4"], index=[7], dtype="category")],
    "series of lists": pd.Series(LISTS, index=[5, 5]),
    "polars": pl.Series(LISTS),
    "arrow": pa.array(LISTS),
    "arrow columns": [pa.chunked_array([[10], [3]]), pa.array(["4"]).dictionary_encode()],
    "generators": ((item for item in items) for items in LISTS),
    "deques": [collections.deque(items) for items in LISTS],
    "values": [{1: 10, 2: 3}.values(), [4]],
}


@pytest.mark.parametrize("form", PLAIN)
def test_histories_of_any_form_are_the_same(fitted: Recommender, expected: list[str], form: str) -> None:
    table, said = answer(fitted, histories=PLAIN[form])
    assert table["item_id"].to_list() == expected
    assert table["user_id"].unique(maintain_order=True).to_list() == ["0", "1"]
    assert said == []


TABLES: dict[str, Any] = {
    "mapping": {"a": [10, 3], "b": [4]},
    "pandas": BY_USER,
    "polars": pl.from_pandas(BY_USER),
    "lazy": pl.from_pandas(BY_USER).lazy(),
    "arrow": pa.Table.from_pandas(BY_USER),
    "columns": {"user_id": ["a", "b"], "items": LISTS},
    "log": LOG,
    "polars log": pl.from_pandas(LOG),
    "arrow log": pa.Table.from_pandas(LOG).to_batches()[0],
    "a series of texts": pd.Series({"a": [10, 3], "b": [4]}),
    "grouped": BY_USER.set_index("user_id")["items"],
}


@pytest.mark.parametrize("form", TABLES)
def test_tables_are_histories_by_user(fitted: Recommender, expected: list[str], form: str) -> None:
    table, said = answer(fitted, histories=TABLES[form])
    assert table["user_id"].to_list() == ["a"] * 3 + ["b"] * 3
    assert table["item_id"].to_list() == expected
    assert said == []


REFUSED: dict[str, tuple[Any, str]] = {
    "set": ([{10, 3}], r"The history of user '0' is a set, which has no order"),
    "frozenset": ([frozenset([10])], r"is a frozenset, which has no order"),
    "keys": ([{10: 1}.keys()], r"is a dict_keys, which has no order"),
    "set of histories": ({(10, 3)}, r"histories is a set"),
    "dict": ([{"user_id": "a", "items": [10]}], r"The history of user '0' is a dict"),
    "text": ("10", r"histories is a str \('10'\); expected lists of item ids"),
    "texts": (["10", "3"], r"The history of user '0' is the text '10'"),
    "flat": (np.array([10, 3]), r"The history of user '0' is a int \(10\)"),
    "number": (5, r"histories is a int \(5\)"),
    "none": ([[10, None]], r"user '0': place 1 \(the first is 0\) holds no id but a NoneType"),
    "nan": ([[10, float("nan")]], r"place 1 .* holds no id but a float \(nan\)"),
    "pandas' missing": ([[pd.NA]], r"place 0 .* holds no id but a NAType"),
    "truth": ([[True]], r"place 0 is a boolean \(True\)"),
    "fraction": ([np.array([1.5])], r"The history of user '0' holds 1.5, not a whole number"),
    "bytes": ([[b"10"]], r"place 0 is a bytes"),
    "nested": ([[[10]]], r"place 0 is a list"),
    "half a character": ([["\ud800"]], r"place 0 is a text with half a character \('\\ud800'\)"),
    "many digits": ([[10**5000]], r"place 0 is a number of many digits"),
    "dates": ([pd.Series(pd.to_datetime(["2024-01-01"]))], r"has type Datetime"),
    "series of a user twice": (pd.Series(LISTS, index=["a", "a"]), r"user 'a' comes a second time"),
    "series of dates": (pd.Series(LISTS, index=pd.to_datetime(["2024-01-01", "2024-01-02"])), r"is a Timestamp"),
    "series of pairs": (pd.Series({("a", 1): [10], ("a", 2): [3]}), r"A user of histories is a tuple"),
    "user twice": ({1: [10], "1 ": [3]}, r"user '1' comes a second time"),
    "no user": ({None: [10]}, r"A user of histories is a NoneType"),
    "other columns": (pl.DataFrame({"a": [1], "b": [2]}), r"histories: no user column among 'a', 'b'"),
    "texts of items": (pl.DataFrame({"user_id": ["a"], "items": ["10 3"]}), r"history of user 'a' is the text '10 3'"),
    "column twice": (pd.DataFrame([[1, [3], [3]]], columns=["user_id", "items", "items"]), r"2 columns are called"),
}


@pytest.mark.parametrize(
    ("index", "users"), [([20, 10], ["20", "10"]), ([1, 0], ["1", "0"]), ([0.0, 1.0], ["0", "1"]), ([3, 3], ["0", "1"])]
)
def test_an_index_that_does_not_count_rows_holds_users(fitted: Recommender, index: list[Any], users: list[str]) -> None:
    table, _ = answer(fitted, histories=pd.Series(LISTS, index=index))
    assert table["user_id"].unique(maintain_order=True).to_list() == users


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_no_history_is_refused_in_one_line(fitted: Recommender, form: str) -> None:
    given, message = REFUSED[form]
    with pytest.raises(DataError, match=message):
        fitted.recommend(histories=given)


@pytest.mark.parametrize(
    "users",
    [["1", "2"], [1.0, 2], np.array([1, 2]), pd.Series([1, 2], index=[9, 9]), pd.Categorical(["1", "2"]),
     pd.array([1, 2], dtype="Int64"), pd.Series([1, 2], dtype="Sparse[int]"), pl.Series([1, 2], dtype=pl.UInt64),
     pa.array([1, 2]).dictionary_encode(), pa.array(["1", "2"], pa.string_view()), (user for user in "12")],
)  # fmt: skip
def test_users_of_any_type_are_the_same(fitted: Recommender, users: Any) -> None:
    table, said = answer(fitted, users=users, allow={9, 10, 11, 12}, deny=pd.Series([9], index=["x"]))
    assert table["user_id"].to_list() == ["1"] * 3 + ["2"] * 3
    assert set(table["item_id"]) == {"10", "11", "12"}
    assert said == []


@pytest.mark.parametrize("users", ["1", b"1", 1, {1: 2}, pd.DataFrame({"user_id": [1]}), pl.DataFrame({"u": [1]})])
def test_what_is_no_list_of_users_is_refused(fitted: Recommender, users: Any) -> None:
    with pytest.raises(DataError, match=r"users is .*expected a list of user ids"):
        fitted.recommend(users=users)


def test_white_space_around_ids_is_stripped_and_said(fitted: Recommender, expected: list[str]) -> None:
    table, said = answer(fitted, histories=[[" 10", "3\u2003"], ["4"]])
    assert table["item_id"].to_list() == expected
    assert said == ["white space was stripped off ids: 2, as in ' 10'."]
    assert answer(fitted, users=["1 ", 2])[1] == ["white space was stripped off ids: 1, as in '1 '."]
    assert answer(fitted, users=[1], deny=["10 "])[1] == ["deny: white space was stripped off ids: 1, as in '10 '."]


def test_users_who_fall_short_are_counted_and_said(fitted: Recommender) -> None:
    everything = [str(item) for item in range(1, 13)]
    table, said = answer(fitted, histories={"all": everything, "most": everything[:-1], "a": ["1"]}, k=3)
    assert table["user_id"].to_list() == ["most"] + ["a"] * 3
    assert said == [
        "users who get no item, since none is a candidate for them: 1 (all).",
        "users who get fewer than 3 items, since no more are candidates: 1.",
    ]
    table, said = answer(fitted, histories={"new": ["99", "99"], "none": [], "old": ["1"]})
    assert table["user_id"].to_list() == ["new"] * 3 + ["none"] * 3 + ["old"] * 3
    assert said == [
        "1 item is not in the training data and was skipped (2 times; 99).",
        "2 histories hold no item that training knows; they get the most popular items (first: user new).",
    ]
    table, said = answer(fitted, users=["x", 1, "y", "x", "z", "w"])
    assert table["user_id"].to_list() == ["1"] * 3
    assert said == [
        "users who are not in the training log and get no items: 4 (x, y, z, ...). "
        "To recommend to them, give their histories."
    ]


@pytest.mark.parametrize("k", [0, -1, True, np.True_, 1.5, 2.0, "3", None])
def test_k_is_a_whole_number(fitted: Recommender, k: Any) -> None:
    for ask in (fitted.recommend, lambda k: fitted.similar_items("1", k), fitted.index_report):
        with pytest.raises(ConfigError, match="expected a whole number of items, at least 1"):
            ask(k=k)


def test_k_may_be_more_than_there_are(fitted: Recommender) -> None:
    assert len(answer(fitted, users=[1], k=np.int64(1000))[0]) == 7


def test_similar_items_are_those_with_a_weight(fitted: Recommender) -> None:
    """Training has three items of every user, next to each other in a ring of twelve."""
    assert sorted(fitted.similar_items("10", k=12)["item_id"]) == ["11", "12", "8", "9"]


def test_similar_items_takes_ids_as_everything_else_does(fitted: Recommender) -> None:
    found = fitted.similar_items("10")
    for item in (10, 10.0, np.int32(10), " 10 "):
        assert fitted.similar_items(item).equals(found)
    for item in (None, True, 1.5, b"10"):
        with pytest.raises(DataError, match="The item is "):
            fitted.similar_items(item)
    with pytest.raises(DataError, match=r"Item '99' does not occur in the training data\.$"):
        fitted.similar_items(99)


@pytest.mark.parametrize("index", [None, 5, "ivff"])
def test_an_index_that_is_none_is_refused(fitted: Recommender, index: Any) -> None:
    with pytest.raises(ConfigError, match=f"Unknown index '{index}'.*Known: dense, exact, ivf"):
        fitted.recommend(index=index)


def test_no_item_is_denied_by_none(fitted: Recommender) -> None:
    assert fitted.recommend(users=["1"], k=3, deny=None).equals(fitted.recommend(users=["1"], k=3))  # type: ignore[arg-type]
