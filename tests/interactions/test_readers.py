"""The same log through every format is the same log."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from mltfr.errors import DataError
from mltfr.interactions import load_interactions

Row = tuple[str, str, int]
words = st.text(st.characters(codec="utf-8", categories=["L", "N", "Pd"]), min_size=1, max_size=6)
timed_logs = st.lists(
    st.tuples(words, words, st.integers(0, 10**10)), min_size=1, max_size=25, unique_by=lambda row: row
)
quick = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def frame_of(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").with_columns(rating=pl.lit(5.0))


def jsonl(frame: pl.DataFrame) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in frame.to_dicts()).encode()


def csv(frame: pl.DataFrame, separator: str = ",") -> bytes:
    return frame.write_csv(separator=separator, quote_style="non_numeric").encode()


def recbole(frame: pl.DataFrame) -> bytes:
    types = {"user_id": "token", "item_id": "token", "timestamp": "float", "rating": "float"}
    renamed = frame.rename({name: f"{name}:{kind}" for name, kind in types.items()})
    return renamed.write_csv(separator="\t").encode()


TEXTS: dict[str, tuple[str, Callable[[pl.DataFrame], bytes]]] = {
    "csv": ("csv", csv),
    "tsv": ("csv", lambda frame: csv(frame, "\t")),
    "semicolon": ("csv", lambda frame: csv(frame, ";")),
    "crlf": ("csv", lambda frame: csv(frame).replace(b"\n", b"\r\n")),
    "bom": ("csv", lambda frame: b"\xef\xbb\xbf" + csv(frame)),
    "jsonl": ("jsonl", jsonl),
    "recbole": ("recbole", recbole),
}


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize("form", TEXTS)
@quick
@given(rows=timed_logs)
def test_timed_text_round_trip(form: str, pack: Callable[[bytes], bytes], rows: list[Row]) -> None:
    expected = load_interactions(frame_of(rows))
    name, write = TEXTS[form]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.data"  # the name says nothing
        path.write_bytes(pack(write(frame_of(rows))))
        log = load_interactions(path)
    assert log.format == name
    assert_frame_equal(log.frame, expected.frame)
    assert log.fingerprint() == expected.fingerprint()


@quick
@given(rows=timed_logs)
def test_tables_round_trip(rows: list[Row]) -> None:
    frame = frame_of(rows)
    expected = load_interactions(frame)
    objects = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"], dtype=object)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        frame.write_parquet(path)
        (Path(folder) / "packed").write_bytes(gzip.compress(path.read_bytes()))
        packed = load_interactions(Path(folder) / "packed")
        tables = [load_interactions(source) for source in (path, frame.lazy(), frame.to_arrow(), frame.to_pandas())]
    for log in [*tables, packed, load_interactions(objects)]:
        assert_frame_equal(log.frame, expected.frame)


histories = st.dictionaries(words, st.lists(words, min_size=1, max_size=6), min_size=1, max_size=8)


@pytest.mark.parametrize("form", ["sequence", "sequence-colon", "pairs", "folder"])
@quick
@given(users=histories)
def test_untimed_text_round_trip(form: str, users: dict[str, list[str]]) -> None:
    rows = [(user, item) for user, items in users.items() for item in items]
    expected = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")
    colon = [f"{user}\t:\t" + "\t".join(items) for user, items in users.items()]
    lines = {
        "sequence": [f"{user} " + " ".join(items) for user, items in users.items()],
        "sequence-colon": colon,
        "pairs": [f"{user} {item}" for user, item in rows],
        "folder": colon,
    }[form]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        (Path(folder) / "test.txt").write_text("\n".join(lines[:1]), encoding="utf-8")
        log = load_interactions(folder if form == "folder" else path)
    assert_frame_equal(log.frame, expected)
    assert (log.test is not None) == (form == "folder")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_pairs_and_sequences_are_told_apart(tmp_path: Path) -> None:
    pairs = load_interactions(write(tmp_path / "pairs", "u a\nv b\nu c\n"))
    assert pairs.format == "pairs"
    assert pairs.frame.rows() == [("u", "a"), ("v", "b"), ("u", "c")]
    sequence = load_interactions(write(tmp_path / "sequence", "u a\nv b\nw c d\n"))
    assert sequence.format == "sequence"
    assert sequence.frame.rows() == [("u", "a"), ("v", "b"), ("w", "c"), ("w", "d")]


def test_pairs_far_into_a_sequence_file_do_not_mislead(tmp_path: Path) -> None:
    short = "".join(f"user{n} item\n" for n in range(10_000))
    assert load_interactions(write(tmp_path / "log", short + "last a b c\n")).format == "sequence"


def test_sorting_by_time_is_stable(tmp_path: Path) -> None:
    log = load_interactions(write(tmp_path / "log", "user,item,ts\nu,late,9\nu,b,5\nv,c,5\nu,a,5\nu,first,1\n"))
    assert log.frame["item_id"].to_list() == ["first", "b", "c", "a", "late"]


@pytest.mark.parametrize(
    ("header", "user", "item"),
    [
        ("userId,movieId,rating,timestamp", "userId", "movieId"),
        ("reviewerID,asin,unixReviewTime", "reviewerID", "asin"),
        ("visitor_id;product_id", "visitor_id", "product_id"),
        ("USER ID|Item-Id", "USER ID", "Item-Id"),
        ("user item", "user", "item"),
    ],
)
def test_usual_column_names(tmp_path: Path, header: str, user: str, item: str) -> None:
    row = "".join(c for c in header if c in ",;|") or " "
    values = row[0].join(["7", "8", "9", "9"][: len(row) + 1])
    log = load_interactions(write(tmp_path / "log", f"{header}\n{values}\n"))
    assert log.frame.select("user_id", "item_id").rows() == [("7", "8")]


def test_named_columns_win(tmp_path: Path) -> None:
    path = write(tmp_path / "log", "user_id,who,item_id,what\n1,2,3,4\n")
    log = load_interactions(path, user_column="who", item_column="what")
    assert log.frame.rows() == [("2", "4")]


def test_a_forced_format_is_used(tmp_path: Path) -> None:
    path = write(tmp_path / "log", "u a\nv b\nu c\n")
    assert load_interactions(path, format="pairs").format == "pairs"
    with pytest.raises(DataError, match=r"Unknown format 'csvv'\. Did you mean 'csv'"):
        load_interactions(path, format="csvv")


def test_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    log = load_interactions(write(tmp_path / "log", "user_id,item_id\n007,NA\n7,1.0\n"))
    assert log.frame.rows() == [("007", "NA"), ("7", "1.0")]


def test_json_numbers_become_the_ids_they_show(tmp_path: Path) -> None:
    log = load_interactions(write(tmp_path / "log", '{"user": 7, "item": "x", "t": 1}\n\n{"user": 8, "item": "x"}\n'))
    assert log.frame.rows() == [("7", "x"), ("8", "x")]


def test_pandas_integers_with_gaps_are_integers() -> None:
    table = pd.DataFrame({"user": [1.0, None], "item": [2, 3]})
    log = load_interactions(table, skip_invalid=True)
    assert log.frame.rows() == [("1", "2")]
    assert log.skipped == 1


def test_quoted_line_breaks_and_blank_lines_keep_the_line_number(tmp_path: Path) -> None:
    good = 'user_id,item_id\n"a\nb",x\n\nc,y\n'
    assert load_interactions(write(tmp_path / "good", good)).frame.rows() == [("a\nb", "x"), ("c", "y")]
    with pytest.raises(DataError, match="line 6: item_id is empty"):
        load_interactions(write(tmp_path / "bad", good + "d,\n"))


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    first = load_interactions(pl.DataFrame({"user": ["u", "u"], "item": ["a", "b"]}))
    other = load_interactions(pl.DataFrame({"user": ["u", "u"], "item": ["b", "a"]}))
    again = load_interactions(write(tmp_path / "log", "u a b\n"))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
