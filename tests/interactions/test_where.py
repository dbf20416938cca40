"""Conditions on rows: what they are, and that nothing of them is evaluated."""

from __future__ import annotations

import operator
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltfr.errors import ConfigError, DataError
from mltfr.interactions import FilterConfig, load_interactions
from mltfr.interactions.columns import Columns
from mltfr.interactions.picking import Picker
from mltfr.interactions.readers.frame import read
from mltfr.interactions.where import MOST_LEVELS, parse_where
from support.forks import forked

ROWS = [
    ("view", 1.0, " a b"), ("cart", 4.0, "O'Hara"), ("buy", 5.0, ""), ("buy", 3.5, None), ("View", None, "10"),
]  # fmt: skip
TABLE = pl.DataFrame(ROWS, schema=["event", "rating", "event type"], orient="row").with_columns(
    user_id=pl.lit("u"), item_id=pl.int_range(pl.len()).cast(pl.String)
)


def picked(condition: str, table: pl.DataFrame = TABLE) -> list[int]:
    where = parse_where(condition)
    frame = Picker(where, "log").pick(read(table, Columns(where=where), False).frame)
    return frame["row"].to_list()


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("rating >= 4", [1, 2]),
        ("rating>=4", [1, 2]),
        ("rating > 4", [2]),
        ("rating < 4", [0, 3]),
        ("rating <= 3.5e0", [0, 3]),
        ("rating = 4", [1]),
        ("rating == 4.0", [1]),
        ("rating != 4", [0, 2, 3, 4]),
        ("rating <> 4", [0, 2, 3, 4]),
        ("rating in 1,5", [0, 2]),
        ("rating not in (1, 5)", [1, 3, 4]),
        ("event = buy", [2, 3]),
        ("event in buy,cart", [1, 2, 3]),
        ("event IN ( buy , cart )", [1, 2, 3]),
        ("event NOT IN buy, cart", [0, 4]),
        ("event in buy,cart and rating >= 4", [1, 2]),
        ("event = view or event = buy and rating >= 4", [0, 2]),
        ("(event = view or event = buy) and rating >= 3", [2, 3]),
        ("'event type' = 'a b'", [0]),
        ('"event type" = "O\'Hara"', [1]),
        ("'event type' = 'O''Hara'", [1]),
        ("'event type' = ''", [2, 3]),
        ("'event type' in 10", [4]),
        ("'event type' > 9", [4]),
        ("'event type' in 10,'a b'", [0, 4]),
        ("user_id = u and item_id < 2", [0, 1]),
        ("event > d and event < w", [0]),
    ],
)
def test_what_a_condition_picks(condition, rows):
    assert picked(condition) == rows
    texts = TABLE.with_columns(pl.col("rating").cast(pl.String).fill_null(""))
    assert picked(condition, texts) == rows


def test_nan_stands_in_no_order():
    table = TABLE.with_columns(rating=pl.Series([float("nan"), 4.0, 5.0, None, float("inf")]))
    for typed in (table, table.with_columns(pl.col("rating").cast(pl.String))):
        assert picked("rating > 1", typed) == [1, 2, 4]
        assert picked("rating != 4", typed) == [0, 2, 3, 4]


def test_whole_numbers_are_exact():
    numbers = [9007199254740992, 9007199254740993, 1234567890123456789]
    table = pl.DataFrame({"user_id": ["u"] * 3, "item_id": ["a", "b", "c"], "n": numbers})
    for kind in (pl.Int64, pl.UInt64, pl.String):
        typed = table.with_columns(pl.col("n").cast(kind))
        assert picked("n = 9007199254740993", typed) == [1]
        assert picked("n > 9007199254740992", typed) == [1, 2]
        assert picked("n not in 9007199254740992,1234567890123456789", typed) == [1]


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("", "at its end, expected a column"),
        ("rating", "at its end, expected =, !=, <, <=, >, >=, 'in' or 'not in'"),
        ("rating >=", "at its end, expected a value"),
        ("rating => 4", "at '> 4', expected a value"),
        ("rating not 4", "at '4', expected 'in'"),
        ("event = add to cart", "at 'to cart', expected 'and', 'or' or the end"),
        ("event = 'buy", 'at "\'buy", expected .* a quote that opens must close'),
        ("(event = buy", r"at its end, expected 'and', 'or' or '\)'"),
        ("event in (buy", r"at its end, expected ',' or '\)'"),
        ("event in buy,", "at its end, expected a value"),
        ("event = buy)", r"at '\)', expected 'and', 'or' or the end"),
        ("event = buy; drop", "at 'drop', expected 'and'"),
        ("rating = " + "9" * 39, "expected a number of at most 38 digits"),
        ("(" * (MOST_LEVELS + 1) + "a = b" + ")" * (MOST_LEVELS + 1), "expected at most 50 parentheses"),
        ("len(event) = 3", r"at '\(event\) = 3', expected ="),
        ("__import__('os').system('x')", "expected ="),
    ],
)
def test_what_is_no_condition(condition, told):
    with pytest.raises(ConfigError, match=told) as raised:
        parse_where(condition)
    assert "\n" not in str(raised.value)
    assert "Example: rating >= 4 and event in buy,cart" in str(raised.value)
    with pytest.raises(ConfigError, match=r"filters: where: .* is no condition on rows"):
        FilterConfig.parse({"where": condition}, "filters")


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("ratng >= 4", "in-memory table: no column 'ratng'. The file has 'event', 'rating', .* Did you mean 'rating'"),
        ("rating >= four", "column 'rating' holds numbers, and the condition compares it with the text 'four'"),
        ("rating in 4,'5'", "column 'rating' holds numbers, and the condition compares it with the text '5'"),
        ("item_id > '2024-01-01'", "column 'item_id' holds numbers, .* for times there are filters.since"),
        ("event = bought", r"none of 5 rows meets the condition 'event = bought'.* 'event': 'view', 'cart', 'buy', 'V"),
        ("event > 3", "none of 5 rows meets the condition"),
        ("lists = 1", r"column 'lists' has type List\(Int64\). A condition compares texts and numbers"),
    ],
)
def test_conditions_that_the_columns_do_not_allow(condition, told):
    table = TABLE.with_columns(lists=pl.lit([1]))
    with pytest.raises(DataError, match=told) as raised:
        load_interactions(table, where=condition)
    assert "\n" not in str(raised.value)


# what an expression must not do, whatever it is

_FORBIDDEN = ("exec", "compile", "import", "open", "os.", "subprocess.", "socket.", "pickle.", "marshal.")
_watched: list[str] | None = None


def _hear(event: str, arguments: object) -> None:
    if _watched is not None and event.startswith(_FORBIDDEN):
        _watched.append(event)


PIECES = [
    "rating", "event", "'event type'", "item_id", "=", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or",
    "(", ")", ",", "4", "buy", "'a b'", '"', "'", "\\", "__import__('os').system('true')", "eval", "pl.col", "*",
    "^.*$", "lambda", "{0.__class__}", "%s", "$(true)", "; DROP TABLE log", "--", "#", "\n", "\0", "not", "1e999",
    "0x10", "-1", "é",
]  # fmt: skip
PIECE = st.sampled_from(PIECES) | st.text(max_size=4)
TEXTS = st.lists(PIECE, max_size=12).map(" ".join) | st.text(max_size=40)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(text=TEXTS)
def no_expression_reaches_python(text):
    global _watched
    _watched = heard = []
    try:
        rows = picked(text)
    except (ConfigError, DataError) as error:
        rows, told = [], str(error)
    else:
        told = "no error"
    finally:
        _watched = None
    assert heard == [], heard
    assert set(rows) <= set(range(len(ROWS)))
    assert len(told.splitlines()) == 1


def _listen() -> None:
    global _watched
    sys.addaudithook(_hear)
    _watched = []
    compile("1", "", "eval")
    assert _watched[:1] == ["compile"], "nothing would be heard"
    no_expression_reaches_python()


def test_no_expression_reaches_python():
    """In a process of its own, since a hook stays as long as its process and slows down all that it does."""
    process = forked(_listen)
    process.join(120)
    process.kill()  # if it has not ended
    assert process.exitcode == 0, "stderr has the text, from the process's own test"


# any condition picks what Python's own operators pick

ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
COLUMN_VALUES = {"event": ["view", "cart", "buy", "View"], "rating": ["1", "3.5", "4", "5"]}


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, object]:
    column = draw(st.sampled_from(sorted(COLUMN_VALUES)))
    sign = draw(st.sampled_from([*ORDERS, "=", "!=", "in", "not in"]))
    values = draw(st.lists(st.sampled_from(COLUMN_VALUES[column]), min_size=1, max_size=3 if "in" in sign else 1))
    typed = [float(value) if column == "rating" else value for value in values]

    def met(row: dict[str, object]) -> bool:
        if sign in ORDERS:
            return row[column] is not None and ORDERS[sign](row[column], typed[0])
        return (row[column] in typed) == (sign in ("=", "in"))

    return f"{column} {sign} {','.join(values)}", met


def _joined(parts: st.SearchStrategy) -> st.SearchStrategy:
    def join(word: str, both: list[tuple[str, object]]) -> tuple[str, object]:
        every = all if word == "and" else any
        return f" {word} ".join(f"({text})" for text, _ in both), lambda row: every(met(row) for _, met in both)

    return st.builds(join, st.sampled_from(["and", "or"]), st.lists(parts, min_size=2, max_size=3))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(condition=st.recursive(comparisons(), _joined, max_leaves=5))
def test_conditions_pick_what_python_would(condition):
    text, met = condition
    rows = [dict(zip(("event", "rating"), row, strict=False)) for row in ROWS]
    assert picked(text) == [number for number, row in enumerate(rows) if met(row)]
