"""Every bad input is one line: the file, the line, what was found, what was expected, the remedy."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mltfr.errors import DataError, MltfrWarning
from mltfr.interactions import load_interactions

HEADER = "user_id,item_id,timestamp\n"
GOOD = HEADER + "".join(f"u{n},i{n},{n}\n" for n in range(5))

# content of the file, what the message must say, rows left with skip_invalid (None: still an error)
ROWS: dict[str, tuple[str, str, int | None]] = {
    "missing column": ("user_id,rating\nu,5\n", r"no item column among 'user_id', 'rating'.*--item-column", None),
    "no header": ("196,242,3\n186,302,3\n", r"looks like a table without a header.*--columns", None),
    "empty item": (GOOD + "u9,,7\n", r"line 7: item_id is empty. Every row needs .*--skip-invalid.*\(1 found\)", 5),
    "blank user": (GOOD + "  ,i,7\n", r"line 7: user_id is empty", 5),
    "quoted empty user": (GOOD + '"",i,7\n', r"line 7: user_id is empty", 5),
    "short row": (GOOD + "u9\n", r"line 7: the row has 1 field\. The header has 3", 5),
    "only commas": (GOOD + ",,\n", r"line 7: user_id is empty", 5),
    "long row": (GOOD + "u9,i9,7,8\n", r"line 7: the row has 4 fields. The header has 3", 5),
    "bad time": (GOOD + "u9,i9,soon\n", r"line 7: timestamp is 'soon'. timestamp must be an integer", 5),
    "empty time": (GOOD + "u9,i9,\n", r"line 7: timestamp is empty", 5),
    "infinite time": (GOOD + "u9,i9,inf\n", r"line 7: timestamp is 'inf'", 5),
    "date among numbers": (GOOD + "u9,i9,2024-01-01\n", r"line 7: timestamp is '2024-01-01'.*all alike", 5),
    "impossible date": (
        HEADER + "u,i,2024-01-01\nv,i,2024-01-02\nu,j,2024-02-30\n",
        r"line 4: timestamp is '2024-02-30'",
        2,
    ),
    "repeated row": (GOOD + "u2,i2,2\n", r"line 7: repeats line 4 .*must stand once.*\(1 found\)", 5),
    "header only": (HEADER, r"no usable rows", None),
    "all rows bad": (HEADER + ",i,1\n,j,2\n", r"user_id is empty.* 2 of 2.* --user-column", None),
    "mixed users": (
        '{"user_id": "a", "item_id": 1}\n{"user_id": "b", "item_id": 2}\n{"user_id": 3, "item_id": 4}\n',
        r"line 3: user_id is a number \(3\). It is a string in 2 rows; ids of one column must have one type",
        2,
    ),
    "list as item": (
        '{"user_id": "a", "item_id": "x"}\n{"user_id": "b", "item_id": ["y"]}\n',
        r"line 2: item_id is a list",
        1,
    ),
    "broken json": ('{"user_id": 1, "item_id": 2}\n\n{"user_id":\n', r"line 3: found '{\"user_id\":'.*JSON object", 1),
    "missing key": ('{"user_id": 1, "item_id": 2}\n{"user_id": 3}\n', r"line 2: item_id is empty", 1),
    "user without items": ("u a b\nv\nw c d\n", r"line 2: the user has no items.*`user item item ...`", 3 + 1),
    "user on two lines": ("u a b\nv c d e\nu f g h\n", r"line 3: user 'u' stands on line 1 already", 5),
    "colon missing": ("u : a b\nv : c\n" * 1 + "\n" * 20 + "w d\n", r"line 23: no colon behind the user", 3),
    "three words among pairs": ("u a\nu b\nv c d\nv e\n", r"line 3: the line has 3 words", 3),
    "typed header": ("user_id:token\trating:float\nu\t1\n", r"no item column among 'user_id', 'rating'", None),
}


@pytest.mark.parametrize("case", ROWS)
def test_bad_rows(tmp_path: Path, case: str) -> None:
    content, message, left = ROWS[case]
    path = tmp_path / "log.txt"
    path.write_text(content, encoding="utf-8")
    format = "sequence-colon" if case == "colon missing" else None
    with pytest.raises(DataError, match=message) as caught:
        load_interactions(path, format=format)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    if left is None:
        with pytest.raises(DataError):
            load_interactions(path, format=format, skip_invalid=True)
    else:
        with pytest.warns(MltfrWarning, match=rf"{path.name}: invalid rows dropped: \d+\."):
            log = load_interactions(path, format=format, skip_invalid=True)
        assert (len(log), log.skipped) == (left, 1)


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


MANY = GOOD.encode() + b"".join(b"user%d,item%d,%d\n" % (n, n * 7919 % 1000, n) for n in range(20_000))

_buffer = io.BytesIO()
pl.DataFrame({"user": ["u"], "item": ["a"]}).write_parquet(_buffer)
PARQUET = _buffer.getvalue()

FILES: dict[str, tuple[bytes, str]] = {
    "empty file": (b"", r"the file is empty. Expected one interaction a line"),
    "empty gzip": (gzip.compress(b""), r"blank lines only"),
    "blank lines": (b"\n \n\n", r"blank lines only"),
    "truncated gzip": (gzip.compress(MANY)[:-2000], r"truncated .*again"),
    "truncated zstd": (zstd(MANY)[:-2000], r"truncated .*again"),
    "damaged gzip": (gzip.compress(MANY)[:5000] + b"x" * 5000, r"truncated or damaged"),
    "latin-1": (b"user_id,item_id\nu,i\nv,caf\xe9\n", r"line 3: byte 0xe9 is not UTF-8.*iconv"),
    "latin-1 sequence": (b"u a b\nv caf\xe9 d\n", r"line 2: byte 0xe9 is not UTF-8"),
    "latin-1 json": (b'{"user_id": "caf\xe9", "item_id": 1}\n', r"line 1: byte 0xe9 is not UTF-8"),
    "latin-1 in zstd": (zstd(b"user_id,item_id\nv,caf\xe9\n"), r"line 2: byte 0xe9 is not UTF-8"),
    "rubbish": (bytes(range(256)) * 20, r"binary content of no known format. Expected CSV"),
    "rubbish parquet": (b"PAR1" + bytes(500), r"not a readable Parquet file"),
    "truncated parquet": (PARQUET[:-100], r"not a readable Parquet file .*Copy or write it again"),
    "truncated parquet in gzip": (gzip.compress(PARQUET)[:-20], r"truncated|not a readable Parquet file"),
    "one word": (b"hello\n", r"line 1 is 'hello', of no known format"),
    "JSON array": (b'[{"user_id": 1}]\n', r"a JSON array. Expected JSON Lines, .* jq -c '\.\[\]' .* > .*\.jsonl"),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_files(tmp_path: Path, case: str) -> None:
    content, message = FILES[case]
    path = tmp_path / "log.txt"
    path.write_bytes(content)
    for skip_invalid in (False, True):
        with pytest.raises(DataError, match=message) as caught:
            load_interactions(path, skip_invalid=skip_invalid)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_without_parts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file or folder. Check the path"):
        load_interactions(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"the folder has no train\.txt. Expected train\.txt and test\.txt"):
        load_interactions(tmp_path)
    with pytest.raises(DataError, match=r"is a folder, format 'csv' is a file's"):
        load_interactions(tmp_path, format="csv")


def test_tables_in_memory_name_the_row() -> None:
    table = pl.DataFrame({"user": ["u", None], "item": ["a", "b"]})
    with pytest.raises(DataError, match=r"in-memory table, row 1 \(the first is 0\): user_id is empty"):
        load_interactions(table)
    mixed = pd.DataFrame({"user": ["u", "v", 3], "item": [1, 2, 3]}, dtype=object)
    with pytest.raises(DataError, match=r"row 2 .*user_id is a number \(3\)"):
        load_interactions(mixed)
    assert len(load_interactions(mixed, skip_invalid=True)) == 2
    with pytest.raises(DataError, match=r"column 'user' holds 1.5, not a whole number. Ids are texts or whole numbers"):
        load_interactions(pl.DataFrame({"user": [1.5], "item": ["a"]}))
    with pytest.raises(DataError, match=r"Cannot read interactions from a int"):
        load_interactions(7)


def test_one_column_cannot_play_two_parts() -> None:
    with pytest.raises(DataError, match=r"must be different columns"):
        load_interactions(pl.DataFrame({"user": ["u"], "item": ["a"]}), user_column="item")


def test_repeats_without_times_are_interactions(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("u a a b a\n")
    assert load_interactions(tmp_path / "log").frame["item_id"].to_list() == ["a", "a", "b", "a"]


def test_repeats_at_another_time_are_interactions(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(HEADER + "u,a,1\nu,a,2\n")
    assert len(load_interactions(tmp_path / "log")) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", 1_700_000_000),
        ("1700000000.5", 1_700_000_000.5),
        ("1.7e9", 1.7e9),
        ("1970-01-02", 86_400),
        ("1970-01-02T00:00:01", 86_401),
        ("1970-01-02 00:00:01", 86_401),
        ("1970-01-02T00:01", 86_460),
        ("1970-01-02T00:00:01Z", 86_401),
        ("1970-01-02T02:00:01+02:00", 86_401),
        ("1970-01-02T00:00:01.250", 86_401.25),
    ],
)
def test_times(tmp_path: Path, text: str, seconds: float) -> None:
    (tmp_path / "log").write_text(f"{HEADER}u,a,{text}\n")
    assert load_interactions(tmp_path / "log").frame["timestamp"].to_list() == [seconds]


def test_typed_datetimes_are_seconds_utc() -> None:
    zoned = pl.Series(["1970-01-02T02:00:00"]).str.to_datetime(time_zone="Europe/Paris")
    log = load_interactions(pl.DataFrame({"user": ["u"], "item": ["a"], "time": zoned}))
    assert log.frame["timestamp"].to_list() == [86_400 + 3600]
