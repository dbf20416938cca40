"""Names of items: any table of ids and names is read, what is left out of it is said, and ids are the log's."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mltfr.errors import DataError, MltfrWarning
from mltfr.interactions import Vocabulary
from mltfr.interactions.item_names import ItemNames, item_names

FRAME = pd.DataFrame({"movieId": [1, 2], "title": ["Heat, part 2", "1984"], "genres": ["a|b", ""]})
EXPECTED = [("1", "Heat, part 2"), ("2", "1984")]
FILES: dict[str, bytes] = {
    "movies.csv": b'movieId,title,genres\n1,"Heat, part 2",a|b\n 2 , 1984 ,\n',
    "semicolons.csv": b"Title;product_id\nHeat, part 2;1\n1984;2\n",
    "utf16.csv": 'id,name\n1,"Heat, part 2"\n2,1984\n'.encode("utf-16"),
    "two columns.tsv": b"article\tname\n1\tHeat, part 2\n2\t1984\n",
    "packed.csv.gz": gzip.compress(b'item_id,name\n1,"Heat, part 2"\n2,1984\n'),
    "names.jsonl": b'{"asin": 1, "title": "Heat, part 2", "x": [1]}\n{"asin": 2, "title": "1984"}\n',
    "ml.item": b"item_id:token\tmovie_title:token_seq\n1\tHeat, part 2\n2\t1984\n",
}
TABLES: dict[str, Any] = {
    "pandas": FRAME,
    "polars": pl.from_pandas(FRAME),
    "lazy": pl.from_pandas(FRAME).lazy(),
    "arrow": pa.Table.from_pandas(FRAME),
    "columns": {"item": [1.0, 2.0], "label": ["Heat, part 2", "1984"]},
    "by id": {1: "Heat, part 2", np.int64(2): "1984", 3: None},
}


def read(source: Any) -> tuple[ItemNames, list[str]]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        names = item_names(source)
    assert all(issubclass(warning.category, MltfrWarning) for warning in said)
    return names, [str(warning.message).rpartition("/")[2] for warning in said]


@pytest.mark.parametrize("name", [*FILES, "names.parquet"])
def test_files_of_any_form(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    FRAME.to_parquet(path) if name.endswith("parquet") else path.write_bytes(FILES[name])
    for source in (path, str(path)):
        assert read(source)[0].table.rows() == EXPECTED


@pytest.mark.parametrize("form", TABLES)
def test_tables_of_any_form(form: str) -> None:
    names = read(TABLES[form])[0]
    assert names.table.rows() == EXPECTED
    assert item_names(names) is names


def test_what_is_left_out_is_said() -> None:
    ids = ["1", " 2 ", "", None, "1", "1", "3", "4"]
    titles = ["one", "two", "no id", "no id", "one", "other", "", None]
    names, said = read(pl.DataFrame({"item_id": ids, "title": titles}))
    assert names.table.rows() == [("1", "one"), ("2", "two")]
    assert said == [
        "names: white space was stripped off item ids: 1, as in ' 2 '.",
        "names: rows that name no item were left out: 2.",
        "names: of several names of an item the first is taken; others: 1.",
    ]


def test_rows_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("item_id,title\n1,Heat\n2,I, Robot\n,x\n")
    names, said = read(tmp_path / "n.csv")
    assert names.table.rows() == [("1", "Heat")]
    assert [line.split(": ", 1)[1] for line in said] == [
        "rows that cannot be read were left out: 1 (a comma in a name needs quotes).",
        "rows that name no item were left out: 1.",
    ]


def test_what_is_wrong_with_a_line_of_json_is_said(tmp_path: Path) -> None:
    names = {"1": "Heat", "2": "I, Robot", '"x3"': "x"}
    lines = [f'{{"item_id": {item}, "title": "{name}"}}' for item, name in names.items()]
    (tmp_path / "n.jsonl").write_text("\n".join([*lines, "x"]))
    found, (line,) = read(tmp_path / "n.jsonl")
    assert found.table.rows() == [("1", "Heat"), ("2", "I, Robot")]
    assert "rows that cannot be read were left out: 2; the first, line 4: found 'x'. Every line must hold" in line
    (tmp_path / "n.jsonl").write_text("\n".join(lines))
    (line,) = read(tmp_path / "n.jsonl")[1]
    assert "left out: 1; the first, line 3: item_id is a string (x3). It is a number in 2 rows; ids of one" in line


def test_a_table_without_a_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("1,Heat\n2,Cold\n")
    with pytest.raises(DataError, match=r"first line is '1,Heat'. Expected item_id and name.*: put a first line"):
        item_names(tmp_path / "n.csv")


def test_names_stand_behind_their_ids() -> None:
    names = item_names({"a": "A", "b": "B"})
    rows = [("u", 1, "b", 3), ("u", 2, "x", 2), ("v", 1, "a", 1)]
    table = pl.DataFrame(rows, schema=["user_id", "rank", "item_id", "score"], orient="row")
    assert names.beside(table).rows() == [("u", 1, "b", "B", 3), ("u", 2, "x", None, 2), ("v", 1, "a", "A", 1)]
    assert names.beside(table).columns == ["user_id", "rank", "item_id", "name", "score"]
    assert names.digest() != item_names({"a": "A", "b": "b"}).digest()


def test_items_without_a_name_are_said() -> None:
    vocabulary = Vocabulary(("a", "b", "c"), np.ones(4, np.int64))
    assert item_names({"a": "A", "b": "B", "c": "C", "d": "D"}).missing(vocabulary) is None
    assert item_names({"b": "B"}).missing(vocabulary) == "names: items without a name: 2 of 3 (a, c)."
    with pytest.raises(DataError, match=r"none of its 1 ids is an item .* \(the run has a, b, c, and the table x\)"):
        item_names({"x": "X"}).missing(vocabulary)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (5, "names is a int. Expected item_id and name"),
        (["a"], "names is a list. Expected"),
        ({}, "names: no item has a name"),
        ({"a": None}, "names: no item has a name"),
        (pl.DataFrame({"x": [1], "y": [2]}), "names: no column of item ids among 'x', 'y'"),
        (pl.DataFrame({"item_id": [1], "y": [2], "z": [3]}), "no column of item names among 'item_id', 'y', 'z'"),
        ("no such file.csv", "no such file.csv: no such file or folder"),
    ],
)
def test_what_is_no_table_of_names_is_refused(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        item_names(source)


def test_what_is_no_file_of_names_is_refused(tmp_path: Path) -> None:
    for content in (b"a b c\nd e f\n", b"\0\1", b""):
        (tmp_path / "names").write_bytes(content)
        with pytest.raises(DataError, match="names"):
            item_names(tmp_path / "names")
    with pytest.raises(DataError, match="no table of names"):
        item_names(tmp_path)
