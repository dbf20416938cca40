"""What is said about items: any table with ids and columns of words, or ids that are words themselves."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mltfr.errors import DataError
from mltfr.interactions import Vocabulary
from mltfr.names.texts import ItemTexts, item_texts, texts_of_ids

EXPECTED = [("1", "Heat Crime|Drama"), ("2", "1984 film Drama")]
FILES: dict[str, bytes] = {
    "movies.csv": b"movieId,title,year,genres\n1,Heat,1995,Crime|Drama\n2,1984 film,1984,Drama\n",
    "movies.tsv": b"movieId\ttitle\tprice\tgenres\n1\tHeat\t9.5\tCrime|Drama\n2\t1984 film\t\tDrama\n",
    "movies.item": b"item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    b"1\tHeat\t1995\tCrime|Drama\n2\t1984 film\t1984\tDrama\n",
    "movies.jsonl": b'{"asin": 1, "title": "Heat", "n": 4, "genres": "Crime|Drama"}\n'
    b'{"asin": 2, "title": "1984 film", "genres": "Drama"}\n',
    "images.csv": b"item_id,name,image,genres\n1,Heat,http://a.example/1.png,Crime|Drama\n"
    b"2,1984 film,http://a.example/2.png,Drama\n",
}


def vocabulary(*ids: str) -> Vocabulary:
    return Vocabulary(ids, np.array([0, *[1] * len(ids)]))


@pytest.mark.parametrize("name", FILES)
def test_all_columns_of_words_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    for source in (path, str(path)):
        texts = item_texts(source)
        assert texts.table.rows() == EXPECTED
        assert len(texts.columns) == 2
    assert item_texts(texts) is texts


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_column_that_says_nothing_at_first_is_read(tmp_path: Path, ending: str) -> None:
    size, path = 20_000, tmp_path / f"movies.{ending}"
    genres = [None, ""] * (size // 2 - 1) + ["Drama"] * 2
    table = pl.DataFrame({"item_id": range(size), "title": ["Heat"] * size, "genre": genres})
    {"csv": table.write_csv, "jsonl": table.write_ndjson, "parquet": table.write_parquet}[ending](path)
    texts = item_texts(path)
    assert texts.columns == ("title", "genre")
    assert texts.table.row(size - 1) == (str(size - 1), "Heat Drama")


def test_columns_that_are_named_are_read_whatever_they_hold(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(FILES["movies.csv"])
    texts = item_texts(tmp_path / "m.csv", ["year", "title"])
    assert texts.table.rows() == [("1", "1995 Heat"), ("2", "1984 1984 film")]
    assert texts.columns == ("year", "title")
    with pytest.raises(DataError, match=r"no column 'titel'.*Did you mean 'title'\?.*--name-columns"):
        item_texts(tmp_path / "m.csv", ["titel"])


TAGS = pl.DataFrame({"item_id": [1, 2], "tags": [["red", None, "shoe"], None], "name": [None, "a &amp; &lt;br /&gt;b"]})


def test_lists_missing_values_and_entities(tmp_path: Path) -> None:
    TAGS.write_parquet(tmp_path / "tags.parquet")
    TAGS.write_ndjson(tmp_path / "tags.jsonl")
    files = (tmp_path / "tags.parquet", tmp_path / "tags.jsonl")
    for source in (TAGS, *files, TAGS.lazy(), TAGS.to_arrow(), TAGS.to_pandas(), pd.DataFrame(TAGS.to_dicts())):
        assert item_texts(source).table.rows() == [("1", "red shoe"), ("2", "a &  b")]


LINES = (
    {"asin": 1, "title": "[REC] (2007)", "tags": ["Café\nnoir", ["b"]], "more": {"brand": "Zoë"}},
    {"asin": 2, "title": "Heat", "tags": [], "more": {}},
    {"asin": 3, "title": "Cold", "tags": [], "more": {}},
)


@pytest.mark.parametrize("count", [1, 3])
def test_json_is_read_as_the_words_in_it(tmp_path: Path, count: int) -> None:
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, LINES[:count])))
    texts = item_texts(tmp_path / "m.jsonl")
    assert texts.columns == ("title", "tags", "more")
    assert texts.table["name"][0] == "[REC] (2007) Café\nnoir b Zoë"


def test_a_column_that_is_named_twice_is_read_once() -> None:
    assert item_texts(TAGS, ["tags", "tags"]).table.rows() == item_texts(TAGS, ["tags"]).table.rows()


def test_lists_of_numbers_are_no_words() -> None:
    pairs = pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2))
    table = TAGS.with_columns(vector=pl.Series([[0.1, 0.2], [0.3]]), pair=pairs)
    assert item_texts(table).columns == ("tags", "name")


def test_ids_of_users_are_read_only_where_they_are_asked_for() -> None:
    reviews = {"asin": ["1"], "reviewerID": ["A2SUAM"], "summary": ["Heat"]}
    assert item_texts(reviews).columns == ("summary",)
    assert item_texts(reviews, ["reviewerID"]).columns == ("reviewerID",)


@pytest.mark.parametrize("source", [{"a": "Heat", "b": "Cold"}, {"item_id": ["a", "b"], "w": ["Heat", "Cold"]},
                                    pd.DataFrame({"product": ["a", "b"], "title": ["Heat", "Cold"]})])  # fmt: skip
def test_names_in_memory(source: Any) -> None:
    texts = item_texts(source)
    assert texts.of(vocabulary("b", "x", "a")).to_list() == ["Cold", None, "Heat"]


def test_of_several_rows_of_an_item_the_first_is_taken() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        texts = item_texts({"item_id": ["a", "a", "b", ""], "name": ["one", "two", "", "none"]})
    assert texts.table.rows() == [("a", "one")]
    assert [str(each.message) for each in said] == [
        "names: rows that name no item were left out: 1.",
        "names: of several names of an item the first is taken; others: 1.",
    ]


def test_the_columns_of_ids_may_be_called_as_in_the_log() -> None:
    source = {"artist": ["a"], "id": ["1"], "words": ["Heat"]}
    assert item_texts(source, item_column="artist").table.rows() == [("a", "Heat")]
    assert item_texts(source).table.rows() == [("1", "a Heat")]


@pytest.mark.parametrize(("source", "message"), [
    ({"x": ["a"], "y": ["Heat"], "z": ["b"]}, "no column of item ids among 'x', 'y', 'z'"),
    ({"item_id": ["a"], "price": [3]}, "no column of words beside 'item_id'"),
    ({"item_id": ["a"], "name": [" "]}, "no column of words"),
    (7, "names is a int"),
])  # fmt: skip
def test_what_is_no_table_of_names(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        item_texts(source)


def test_names_of_other_items_are_refused() -> None:
    with pytest.raises(DataError, match="none of the 1 ids of these names is an item of the log"):
        item_texts({"a": "Heat"}).of(vocabulary("1", "2"))


def test_ids_that_are_words() -> None:
    ids = ("new-order_BlueMonday", "/wiki/XMLFile/page2", "B00", "rock%20and%20roll", "東京-1", "%E6%9D%B1")
    texts = texts_of_ids(vocabulary(*ids))
    assert texts.of(vocabulary(*ids)).to_list() == [
        "new order Blue Monday", "wiki XML File page", None, "rock and roll", "東京", "東",
    ]  # fmt: skip
    with pytest.raises(DataError, match="no item id holds a word"):
        texts_of_ids(vocabulary("1", "B02"))


def test_the_fingerprint_follows_the_texts() -> None:
    table = TAGS.select(pl.col("item_id").cast(pl.String), name=pl.lit("x"))
    one, other = ItemTexts(table, (), "a"), item_texts({1: "x"})
    assert one.fingerprint() != other.fingerprint()
    assert item_texts({1: "x", 2: "x"}).fingerprint() == one.fingerprint()
