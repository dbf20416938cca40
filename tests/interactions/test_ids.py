"""What an id is: the same text wherever it comes from."""

from __future__ import annotations

import datetime
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mltfr.errors import DataError, MltfrWarning
from mltfr.interactions import load_interactions
from mltfr.interactions.ids import WHITE_SPACE, DecimalIds, Strip, id_of, id_texts, kind_of
from mltfr.interactions.prepare import prepare


def test_white_space_is_what_polars_strips() -> None:
    letters = [chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n < 0xE000]
    column = pl.Series(letters)
    assert set(column.filter(column.str.strip_chars() == "")) == set(WHITE_SPACE)
    assert len(set(WHITE_SPACE)) == len(WHITE_SPACE)


@pytest.mark.parametrize(
    "value",
    ["1", " 1\u2009", 1, 1.0, np.int8(1), np.uint64(1), np.float32(1), np.str_("1"), Decimal("1.00"), Fraction(2, 2),
     np.array(1)],
)  # fmt: skip
def test_whole_numbers_of_any_type_are_their_digits(value: object) -> None:
    assert id_of(value, "x") == "1"


@pytest.mark.parametrize("value", [None, float("nan"), np.nan, pd.NA, pd.NaT, Decimal("nan"), "", " \u3000\n"])
def test_missing_values_are_no_id(value: object) -> None:
    assert id_of(value, "x") is None


@pytest.mark.parametrize(
    "value",
    [True, np.True_, 1.5, Decimal("1.5"), b"1", [1], (1,), {"a": 1}, datetime.date(2024, 1, 1), float("inf"), 2.0**53,
     np.float32(2**24), np.datetime64("2024-01-01"), np.array([1]), Decimal("1e1000000"), 1j],
)  # fmt: skip
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"An item is a .*Ids are texts or whole numbers"):
        id_of(value, "An item")
    assert kind_of(value) not in ("string", "number", None)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        *((kind, [1, 20, None]) for kind in (pl.Int8, pl.UInt64, pl.Int128, pl.Float32, pl.Float64, pl.Decimal(20, 2))),
        *((kind, ["1", "20", None]) for kind in (pl.String, pl.Categorical, pl.Enum(["1", "20"]))),
    ],
)
def test_typed_columns_become_the_same_texts(kind: pl.DataType, values: list[object]) -> None:
    assert id_texts(pl.Series(values, dtype=kind), "x").to_list() == ["1", "20", None]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pl.Series([2.0, 1.5]), "x holds 1.5, not a whole number"),
        (pl.Series([float("inf")]), "x holds inf, not a whole number"),
        (pl.Series([2.0**63, 2.0**64]), "x holds 9.2.*e\\+18, more than a Float64 holds exactly.*Int64"),
        (pl.Series([2.0**24], dtype=pl.Float32), "more than a Float32 holds exactly"),
        (pl.Series(["1.50"]).cast(pl.Decimal(10, 2)), "x holds 1.50, not a whole number"),
        (pl.Series([True]), "x has type Boolean"),
        (pl.Series([b"a"]), "x has type Binary"),
        (pl.Series([[1]]), "x has type List"),
        (pl.Series([datetime.date(2024, 1, 1)]), "x has type Date"),
    ],
)
def test_other_columns_are_refused_in_one_line(values: pl.Series, message: str) -> None:
    with pytest.raises(DataError, match=message):
        id_texts(values, "x")


def test_pieces_are_stripped_alike_and_it_is_said_which_became_one() -> None:
    pieces = [pl.Series(piece) for piece in (["a", "b "], [" b", "c\u00a0", None, " "], ["a\t", "d"])]
    strip = Strip("values of item_id")
    assert [strip.look(piece).to_list() for piece in pieces] == [[False] * 2, [False, False, True, True], [False] * 2]
    assert [strip.strip(piece).to_list() for piece in pieces] == [["a", "b"], ["b", "c", None, ""], ["a", "d"]]
    note = "white space was stripped off values of item_id: 4, as in 'b '; "
    assert strip.notes == (f"{note}ids written in several ways that became one: 2, as 'b '.",)


def test_nothing_is_said_of_clean_ids() -> None:
    strip, clean = Strip("user_id"), pl.Series(["a b", "c"])
    strip.look(clean)
    assert strip.strip(clean) is clean
    assert strip.notes == ()


def test_ids_like_4_beside_ids_like_4_0_are_said(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    rows = [f"{user},{item},{time}" for user in ("4", "4.0") for time, item in enumerate(["1.0", "2.00", "x.0"])]
    file.write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    for read in (load_interactions, lambda file: prepare(file, tmp_path / "set")):
        with pytest.warns(MltfrWarning) as said:
            read(file)
        assert [str(warning.message).partition(": ")[2] for warning in said] == [
            "values of user_id are written like '4.0' and like '4', which are different ids."
        ]


@pytest.mark.parametrize("pieces", [(["x"] * 1001 + ["4.0", "4"],), (["4.0"] * 2000, ["5"]), (["5"], [None], ["4.0"])])
def test_they_may_be_anywhere(pieces: tuple[list[str], ...]) -> None:
    said = DecimalIds("x")
    for piece in pieces:
        said.look(pl.Series(piece, dtype=pl.String))
    assert len(said.notes) == 1


@pytest.mark.parametrize("ids", [["4", "5"], ["4.0", "5.0"], ["4.0", "x"], ["4.5", "4"], ["a4.0", "4"]])
def test_nothing_is_said_of_ids_that_are_written_alike(ids: list[str]) -> None:
    said = DecimalIds("x")
    said.look(pl.Series(ids))
    assert said.notes == ()


def test_ids_that_look_like_missing_values_are_said_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("user_id,item_id\nu1,nan\nu1,NULL\nu1,nano\nNone,i1\nNone,i2\nNone,nano\n")
    for read in (load_interactions, lambda file: prepare(file, tmp_path / "set")):
        with pytest.warns(MltfrWarning) as said:
            read(file)
        assert [str(warning.message).partition(": ")[2] for warning in said] == [
            f"values of {column} look like missing ones, and are kept as ids: {count}, as {first!r}. Leave these rows "
            "out of the file if that is what they are."
            for column, count, first in (("user_id", 3, "None"), ("item_id", 2, "nan"))
        ]
    with pytest.warns(MltfrWarning):
        log = load_interactions(file)
    assert set(log.frame["item_id"]) == {"nan", "NULL", "nano", "i1", "i2"}


SPACED = "user_id,item_id,timestamp\nu1,i1 ,1\nu1,i2,2\nu1,i3,3\n u2,i1,4\nu2 ,i2,5\nu2,i3,6\n"
NOTE = (
    "white space was stripped off values of {}: {}, as in {!r}; "
    "ids written in several ways that became one: 1, as {!r}."
)


def test_a_log_and_its_prepared_set_strip_ids_and_say_it(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text(SPACED)
    notes = (NOTE.format("user_id", 2, " u2", " u2"), NOTE.format("item_id", 1, "i1 ", "i1 "))
    with pytest.warns(MltfrWarning) as said:
        log = load_interactions(file)
    assert [str(warning.message) for warning in said] == [f"{file}: {note}" for note in notes]
    assert log.totals() == (6, 2, 3)
    assert log.notes == notes
    for read in (lambda: prepare(file, tmp_path / "set"), lambda: load_interactions(tmp_path / "set")):
        with pytest.warns(MltfrWarning) as said:
            made = read()
        assert [str(warning.message) for warning in said] == [f"log.csv: {note}" for note in notes]
        assert made.notes == notes
        assert made.fingerprint() == log.fingerprint()


def test_tables_of_any_kind_give_the_same_log(tmp_path: Path) -> None:
    rows = {"user_id": [1, 1, 2], "item_id": [10, 11, 10]}
    expected = load_interactions(pl.DataFrame(rows)).fingerprint()
    frame = pd.DataFrame(rows, index=[7, 7, 3])
    indexed = pd.Series([1, 1, 2], index=[2, 1, 0])
    array = np.array([(1, 10), (1, 11), (2, 10)], dtype=[("user_id", "i8"), ("item_id", "i4")])
    for table in (
        rows, array, frame, frame.astype(float), frame.astype(str), frame.astype("Int64"), frame.astype("category"),
        frame.astype(str).astype("category"), frame.astype(pd.SparseDtype(int, 0)), frame.astype("int64[pyarrow]"),
        frame.astype(object), frame.map(np.int16).astype(object), {**rows, "user_id": indexed},
        pd.DataFrame({**rows, "user_id": [1, 1.0, np.float32(2)]}, dtype=object), frame.astype("string"),
        pl.DataFrame(rows).lazy(), pl.DataFrame(rows).to_arrow(), pl.DataFrame(rows).to_arrow().to_batches()[0],
        pl.DataFrame(rows).cast(pl.String).cast(pl.Categorical).to_arrow(),
        pl.DataFrame({name: pl.Series(column, dtype=pl.Object) for name, column in rows.items()}),
    ):  # fmt: skip
        assert load_interactions(table).fingerprint() == expected, table


def _column(values: object, **more: object) -> dict[str, object]:
    return {"user_id": values, "item_id": ["a", "b"], **more}


REFUSED: dict[str, tuple[object, str]] = {
    "truths": (_column([True, False]), r"row 0 .*: user_id is a boolean \(True\). Ids are texts or whole numbers"),
    "fractions": (_column([1.5, 2]), r"row 0 .*: user_id is a fraction \(1.5\). It is a number in 1 rows"),
    "typed fractions": (pd.DataFrame(_column([1.5, 2])), r"column 'user_id' holds 1.5, not a whole number"),
    "large floats": (pd.DataFrame(_column([2.0**53, 2])), r"more than a Float64 holds exactly"),
    "many digits": (_column([10**5000, 1]), r"user_id is a number of many digits"),
    "lists": (_column([[1], [2]]), r"user_id is a list \(\[1\]\)"),
    "half a character": (_column(["\ud800", "x"]), r"column 'user_id' cannot be read"),
    "complex": (pd.DataFrame(_column([1j, 2j])), r"column 'user_id' cannot be read"),
    "period": (pd.DataFrame(_column(pd.period_range("2020", periods=2))), r"user_id is a Period"),
    "categories of dates": (pd.DataFrame(_column(pd.Categorical(pd.to_datetime(["2020", "2021"])))), r"has type Date"),
    "bytes": (pa.table(_column([b"1", b"2"])), r"column 'user_id' has type Binary"),
    "nested": (pa.table(_column([{"a": 1}, {"a": 2}])), r"column 'user_id' has type Struct"),
    "list view": (pa.table(_column(pa.array([[1], [2]], pa.list_view(pa.int64())))), r"'user_id' cannot be read"),
    "two columns": (pd.DataFrame([[1, 2, 3]], columns=["user_id", "user_id", "item_id"]), r"2 columns are called"),
    "two Arrow columns": (pa.table([[1], [2], [3]], names=["user_id", "item_id", "item_id"]), r"2 columns are called"),
    "index": (pd.DataFrame(_column([1, 2])).set_index("user_id"), r"no user column.*index \['user_id'\] is no column"),
    "levels": (pd.DataFrame([[1, 2]], columns=[["user_id", "item_id"], ["", ""]]), r"no user column among"),
    "lengths": (_column([1]), r"columns of different lengths"),
    "a text": (_column("ab"), r"column 'user_id': a str is no column"),
    "a set": (_column({1, 2}), r"column 'user_id': a set is no column"),
    "a table": (_column(pd.DataFrame({"a": [1]})), r"column 'user_id': a DataFrame is no column"),
    "lazy": (pl.DataFrame(_column([1, 2])).lazy().select("user_id", "item_id", "z"), r"in-memory table cannot be read"),
    "rows": ([{"user_id": 1, "item_id": 2}], r"Cannot read interactions from a list"),
    "array": (np.zeros((2, 2)), r"Cannot read interactions from a ndarray"),
    "complex time": (pd.DataFrame(_column([1, 2], timestamp=[1j, 2j])), r"column 'timestamp' cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_no_table_ends_in_a_raw_error(case: str) -> None:
    table, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as error:
        load_interactions(table)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["1", "2"]).dictionary_encode(),
        pa.array([1, 2]).dictionary_encode(),
        pa.array(["1", "2"], pa.string_view()),
        pa.array(["1", "2"], pa.large_string()),
        pa.chunked_array([["1"], ["2"]]),
        pa.array([Decimal(1), Decimal(2)], pa.decimal256(50, 2)),
        pa.array([1, 2], pa.uint64()),
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "2"])),
        pa.array(np.array([1, 2], np.float16)),
    ],
)
def test_arrow_columns_of_any_kind(column: pa.Array) -> None:
    assert load_interactions(pa.table(_column(column))).frame["user_id"].to_list() == ["1", "2"]


def test_missing_values_of_a_table_are_dropped_alike() -> None:
    for missing in (pd.array([1, None], dtype="Int64"), [1, pd.NA], [1.0, float("nan")], pd.Categorical(["1", None])):
        with pytest.raises(DataError, match=r"row 1 \(the first is 0\): user_id is empty"):
            load_interactions(pd.DataFrame(_column(missing)))
        log = load_interactions(pd.DataFrame(_column(missing)), skip_invalid=True)
        assert (log.frame["user_id"].to_list(), log.skipped) == (["1"], 1)
