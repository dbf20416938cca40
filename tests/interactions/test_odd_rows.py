"""Rows of a table that hold bytes which are no text, or the header once more: named, never taken for others."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from mltfr.errors import DataError
from mltfr.interactions import load_interactions, prepare
from mltfr.interactions.columns import Columns
from mltfr.interactions.readers import delimited
from mltfr.interactions.readers.layout import find_layout

HEADER = b"user_id,item_id,timestamp,title\n"
ROWS = [b"u%d,i%d,%d,lamp\n" % (n // 3, n % 3, n + 1) for n in range(6)]


def _with(row: bytes, place: int = 3) -> bytes:
    return HEADER + b"".join([*ROWS[:place], row, *ROWS[place:]])


NO_TEXT = {
    "a column that is not read": _with(b"u7,i7,7,caf\xe9\n"),
    "an id": _with(b"u\xff,i7,7,lamp\n"),
    "an item": _with(b"u7,i\xed\xa0\x80,7,lamp\n"),
    "a time": _with(b"u7,i7,7\xff,lamp\n"),
    "between quotes": _with(b'u7,i7,7,"caf\xe9, bar"\n'),
    "within a text with marks of its own": _with("u7,i7,7,日本".encode() + b"\xe6\n"),
    "below a row with line breaks": _with(b"u7,i7,7,\xc3\n").replace(b"1,lamp", b'1,"a\nb"'),
    "beside a quote in the middle": _with(b'u7,i7,7,12" caf\xe9\n'),
    "tabs": _with(b"u7,i7,7,\xe9\n").replace(b",", b"\t"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("format", [None, "csv"])
@pytest.mark.parametrize("case", NO_TEXT)
def test_bytes_that_are_no_text_are_named(tmp_path: Path, case: str, format: str | None, pack) -> None:
    path = tmp_path / "log"
    path.write_bytes(pack(NO_TEXT[case]))
    line = 6 if "line breaks" in case else 5
    message = rf"log, line {line}: byte 0x\w\w is not UTF-8.*iconv"
    for skip in (False, True):  # what is wrong is the file's encoding, not a row
        with pytest.raises(DataError, match=message):
            load_interactions(path, format=format, skip_invalid=skip)
        with pytest.raises(DataError, match=message):
            prepare(path, tmp_path / "set", format=format, skip_invalid=skip)


def test_bytes_that_are_no_text_are_found_in_every_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 64)
    path = tmp_path / "log"
    for place in range(7):
        path.write_bytes(_with(b"u7,i7,7,caf\xe9\n", place))
        with pytest.raises(DataError, match=f"line {place + 2}: byte 0xe9"):
            load_interactions(path)


AGAIN = {
    "times": (HEADER, HEADER, 5),
    "no times": (b"user_id,item_id\n", b"user_id,item_id\n", 5),
    "a byte order mark": (b"user_id,item_id\n", b"\xef\xbb\xbfuser_id,item_id\n", 5),
    "quotes": (b"user_id,item_id\n", b'"user_id" ,"item_id"\n'.replace(b" ", b""), 5),
    "spaces": (b"user_id,item_id\n", b"user_id, item_id\n", 5),
    "types": (b"user_id:token\titem_id:token\n", b"user_id:token\titem_id:token\n", 5),
}


@pytest.mark.parametrize("case", AGAIN)
def test_a_header_within_the_table_is_no_row(tmp_path: Path, case: str) -> None:
    header, again, line = AGAIN[case]
    mark = b"\t" if b"\t" in header else b","
    rows = [mark.join(row.strip().split(b",")[: len(header.split(mark))]) + b"\n" for row in ROWS]
    path = tmp_path / "log"
    path.write_bytes(header + b"".join([*rows[:3], again, *rows[3:]]))
    with pytest.raises(DataError, match=rf"log, line {line}: the names of the columns stand here.*--skip-invalid"):
        load_interactions(path)
    log = load_interactions(path, skip_invalid=True)
    assert (len(log), log.skipped) == (6, 1)
    prepared = prepare(path, tmp_path / "set", skip_invalid=True)
    assert (prepared.fingerprint(), prepared.skipped) == (log.fingerprint(), 1)


def test_rows_behind_a_header_that_is_dropped_keep_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(HEADER + b"".join([*ROWS[:3], HEADER, *ROWS[3:], b"u1,,9,lamp\n"]))
    parsed = delimited.parse(path, find_layout(path, Columns()), Columns(), skip_invalid=True)
    assert parsed.skipped == 1
    assert [parsed.place(row) for row in range(7)] == [f"line {n}" for n in (2, 3, 4, 6, 7, 8, 9)]


def test_a_header_is_no_row_where_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(HEADER + b"".join(ROWS))
    with pytest.raises(DataError, match=r"log, line 1: the names of the columns stand here"):
        load_interactions(path, columns="user_id,item_id,timestamp,title")


def test_ids_may_hold_the_names_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("user,item\nuser 1,item 1\nuser,item 2\nuser 2,item\n")
    assert load_interactions(path).frame.rows() == [("user 1", "item 1"), ("user", "item 2"), ("user 2", "item")]


NO_IDS = {
    "fractions": (pl.Series([1.0, 1.5, 2.0, None, 3.0, float("nan")]), 3),
    "infinite": (pl.Series([1.0, float("inf"), 2.0, float("-inf"), 3.0, 4.0]), 2),
    "too large": (pl.Series([1.0, 2.0**60, 2.0, 3.0, 4.0, 5.0]), 1),
    "single precision": (pl.Series([1, 2.5, 3, 2**25, 4, 5], dtype=pl.Float32), 2),
    "decimals": (pl.Series(["1.0", "1.5", "2", "3", "4", "5"]).cast(pl.Decimal(10, 2)), 1),
}


@pytest.mark.parametrize("role", ["user_id", "item_id"])
@pytest.mark.parametrize("case", NO_IDS)
def test_numbers_of_a_typed_column_that_are_no_ids_can_be_dropped(tmp_path: Path, case: str, role: str) -> None:
    values, bad = NO_IDS[case]
    other = {"user_id": "item_id", "item_id": "user_id"}[role]
    once = pl.DataFrame({role: values, other: ["a", "a", "a", "b", "b", "b"], "timestamp": range(6)})
    table = pl.concat([once, once.with_columns(pl.col("timestamp") + 6)])
    table.write_parquet(tmp_path / "log.parquet")
    for source in (table, tmp_path / "log.parquet"):
        with pytest.raises(DataError, match=f"column '{role}' holds|{role} is empty"):
            load_interactions(source)
        log = load_interactions(source, skip_invalid=True)
        assert (len(log), log.skipped) == (12 - 2 * bad, 2 * bad)
        assert all(text.isdigit() for text in log.frame[role])
    prepared = prepare(tmp_path / "log.parquet", tmp_path / "set", skip_invalid=True)
    assert (prepared.fingerprint(), prepared.skipped) == (log.fingerprint(), 2 * bad)


def test_quotes_are_part_of_texts_in_a_table_with_tabs_where_only_so_every_row_is_one(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    rows = [row.decode().replace(",", "\t") for row in ROWS]
    rows[1] = rows[1].replace("lamp", '"Heat" (1995)')
    rows[4] = rows[4].replace("lamp", '"Weird Al')
    path.write_text(HEADER.decode().replace(",", "\t") + "".join(rows))
    with pytest.warns(match="Fields are read as they stand, with their quotes: only so is every row one"):
        log = load_interactions(path)
    assert log.frame.rows() == [(f"u{n // 3}", f"i{n % 3}", n + 1) for n in range(6)]
    assert prepare(path, tmp_path / "set").fingerprint() == log.fingerprint()
    path.write_text(path.read_text().replace("u0", '"u0"'))
    with pytest.raises(DataError, match="line 3: a field between quotes begins here"):
        load_interactions(path)
    path.write_text(path.read_text().replace('"u0"', "u0").replace("\t", ","))
    with pytest.raises(DataError, match="line 3: a field between quotes begins here"):
        load_interactions(path)
