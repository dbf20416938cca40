"""Tables that Python's `csv` writes, whole and damaged: what it reads strictly is read, or a line is named."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltfr.errors import DataError
from mltfr.interactions import load_interactions, prepare
from mltfr.interactions.columns import Columns
from mltfr.interactions.readers.delimited import parse
from mltfr.interactions.readers.layout import find_layout

NAMES = ["user_id", "item_id", "timestamp", "title"]
MARKS = [*"ab1é日 \"'\\,\t;|\n\r", "\r\n", '""', '\\"', '12"', "lamp"]
bounded = settings(max_examples=150, deadline=None, derandomize=True, database=None)

texts = st.one_of(st.sampled_from(["lamp", "12 disc"]), st.lists(st.sampled_from(MARKS), max_size=6).map("".join))
ids = st.one_of(st.sampled_from(["u1", "u2", "i1"]), texts)
rows = st.lists(st.tuples(ids, ids, st.integers(1, 10**10).map(str), texts), max_size=8)
orders = st.permutations(range(4))
damages = st.sampled_from(["quote", "apostrophe", "delimiter", "line", "less", "cut"])


@st.composite
def dialects(draw: Callable[..., Any]) -> dict[str, Any]:
    """A way in which `csv.writer` writes: everything that can be chosen of it."""
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE]))
    doubled = draw(st.booleans()) and quoting != csv.QUOTE_NONE
    return {
        "delimiter": draw(st.sampled_from(",\t;| ")), "quotechar": draw(st.sampled_from("\"'")), "quoting": quoting,
        "doublequote": doubled, "escapechar": None if doubled and draw(st.booleans()) else "\\",
        "lineterminator": draw(st.sampled_from(["\n", "\r\n"])),
    }  # fmt: skip


def written(table: list[tuple[str, ...]], order: list[int], dialect: dict[str, Any]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, **dialect)
    writer.writerows([row[place] for place in order] for row in [NAMES, *table])
    return text.getvalue()


def damaged(text: str, kind: str, place: float, delimiter: str) -> str:
    """Return a text with a mark more or less behind its header."""
    start = text.index("\n") + 1
    at = start + int(place * (len(text) - start))
    if kind in ("less", "cut"):
        return text[:at] + (text[at + 1 :] if kind == "less" else "")
    return text[:at] + {"quote": '"', "apostrophe": "'", "delimiter": delimiter, "line": "\n"}[kind] + text[at:]


def strictly(text: str, layout: Any) -> list[list[str]] | None:
    """Return the rows that Python's `csv` finds, None if there is anything wrong with them."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=layout.delimiter, quotechar=layout.quote, strict=True,
        escapechar=layout.escape, skipinitialspace=layout.skip_space,
    )  # fmt: skip
    try:
        found = [row for row in reader if row][1:]
    except csv.Error:
        return None
    return found if all(len(row) == len(NAMES) for row in found) else None


def read(path: Path, skip: bool, size: int) -> tuple[Any, list[tuple[str, ...]], int]:
    parsed = parse(path, find_layout(path, Columns()), Columns(), skip, size=size)
    frame = pl.concat(parsed.tables).collect().fill_null("").select("user_id", "item_id", "timestamp")
    return parsed, frame.rows(), parsed.skipped


def check_table(text: str, order: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(text.encode())
        plain = find_layout(path, Columns())
        expected, results = strictly(text, plain), []
        for size in (1 << 20, 48, 1):
            try:
                parsed, found, skipped = read(path, False, size)
            except DataError as error:
                results.append(str(error))
                parsed, found, skipped = read(path, True, size)
                assert skipped > 0
                physical = [line for line in io.StringIO(text, newline="") if line.strip("\r\n")]
                assert len(found) + skipped <= len(physical) - 1
                results.append((found, skipped))
                assert f"{path}, line " in results[-2]
                continue
            layout = parsed.layout
            records = strictly(text, layout)
            assert records is not None
            assert skipped == 0
            assert expected is None or layout == plain  # another way only where the plain one fails
            assert found == [tuple(row[order.index(place)] for place in range(3)) for row in records]
            lines = [parsed.place(row) for row in range(len(found))]
            assert len(set(lines)) == len(lines)
            results.append((found, lines))
        third = len(results) // 3
        assert results[:third] == results[third : 2 * third] == results[2 * third :]
        if expected is not None and isinstance(results[0], str):
            assert "takes in what look like rows" in results[0] or "NUL" in results[0]


@pytest.mark.slow
@bounded
@given(table=rows, order=orders, dialect=dialects())
def test_a_table_in_any_dialect(table, order, dialect) -> None:
    check_table(written(table, order, dialect), order)


@pytest.mark.slow
@bounded
@given(table=rows, order=orders, dialect=dialects(), damage=damages, place=st.floats(0, 1))
def test_a_damaged_table(table, order, dialect, damage, place) -> None:
    check_table(damaged(written(table, order, dialect), damage, place, dialect["delimiter"]), order)


good = st.tuples(st.sampled_from(["u1", "u2"]), st.sampled_from(["i1", "i2", "i3"]), st.just("0"), texts)


@settings(bounded, max_examples=100)
@given(table=st.lists(good, max_size=8), delimiter=st.sampled_from(",\t;|"), quoting=st.sampled_from([0, 1]))
def test_what_is_written_is_what_is_read(table, delimiter, quoting) -> None:
    """A table as RFC 4180 has it is never refused, nor is a row of it missing."""
    table = [(user, item, str(number), title) for number, (user, item, _, title) in enumerate(table, start=1000)]
    text = written(table, list(range(4)), {"delimiter": delimiter, "quoting": quoting, "lineterminator": "\r\n"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(text.encode())
        for size in (1 << 20, 48, 1):
            assert read(path, False, size)[1] == [row[:3] for row in table]


plain = st.sampled_from(["a", "b1", '"a"', '"b c"', '""', '"a', '12"', "'a'", "a::b", "a,b", '"a::b"', "\x1f", ""])


@pytest.mark.slow
@settings(bounded, max_examples=300)
@given(
    table=st.lists(st.lists(plain, min_size=4, max_size=4) | st.lists(plain, max_size=5), max_size=8),
    delimiter=st.sampled_from([",", "\t", ";", "|", " ", "::"]), end=st.sampled_from(["\n", "\r\n"]),
)
def test_no_row_is_lost_or_invented(table, delimiter, end) -> None:
    """Rows kept and rows skipped are the rows of the file, however large the blocks are in which it is read."""
    lines = [delimiter.join([*NAMES[:3], "title"]), *(delimiter.join(row) for row in table)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes("".join(line + end for line in lines).encode())
        results = []
        for size in (1 << 20, 48, 1):
            parsed, found, skipped = read(path, True, size)
            results.append((found, skipped))
            records = [line for line in lines[1:] if line]
            if parsed.layout.quote is None or not any(parsed.layout.quote in line for line in records):
                assert len(found) + skipped == len(records)
            if delimiter == "::":
                rows = [line.split("::") for line in records]
                assert found == [tuple(row[:3]) for row in rows if len(row) == 4 and row[:2] != NAMES[:2]]
        assert results[0] == results[1] == results[2]


@settings(bounded, max_examples=10)
@given(table=st.lists(good, min_size=4, max_size=8), place=st.floats(0, 1), damage=damages)
def test_a_damaged_table_that_is_prepared(table, place, damage) -> None:
    table = [(user, item, str(number), title) for number, (user, item, _, title) in enumerate(table, start=1000)]
    text = damaged(written(table, list(range(4)), {"lineterminator": "\n"}), damage, place, ",")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(text.encode())
        found = []
        for make in (load_interactions, lambda path, format: prepare(path, f"{path}-set", format=format, memory=128)):
            try:
                found.append(make(path, format="csv").fingerprint())
            except DataError as error:
                found.append(str(error))
        assert found[0] == found[1] or f"{path}, line" not in found[1]  # too few rows for a split
