from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from mltfr.interactions import InteractionLog, PreparedSet, describe, load_interactions, prepare
from mltfr.interactions.read_as import ColumnsTaken, ReadAs, TimesRead
from mltfr.interactions.statistics import describe_prepared

CLICKS = pl.DataFrame(
    {
        "visitor_id": ["v1", "v1", "v1", "v2", "v2", "v2"],
        "sku": ["S-1", "S-2", "S-3", "S-3", "S-1", "S-2"],
        "event": ["view", "cart", "buy", "view", "view", "buy"],
        "event_time": [f"2024-03-31 1{n}:00:00" for n in range(6)],
        "price": [1, 2, 3, 4, 5, 6],
    }
)
UTC_ONLY = "they are shown in UTC, and dates of filters and splits are UTC"
ONE_UNIT = "If so, write all of them in one unit, or all of the one come before all of the other"


def as_csv(path: Path) -> None:
    CLICKS.write_csv(path)


def as_recbole(path: Path) -> None:
    CLICKS.rename({name: f"{name}:token" for name in CLICKS.columns}).write_csv(path, separator="\t")


WRITERS: dict[str, Callable[[Path], None]] = {
    "csv": as_csv,
    "recbole": as_recbole,
    "parquet": CLICKS.write_parquet,
    "jsonl": CLICKS.write_ndjson,
}


def words(log: InteractionLog | PreparedSet) -> dict[str, str]:
    assert log.read_as is not None
    return log.read_as.words()


@pytest.mark.parametrize("form", WRITERS)
def test_columns_are_told_in_every_format(tmp_path: Path, form: str) -> None:
    path = tmp_path / "clicks"
    WRITERS[form](path)
    log = load_interactions(path)
    assert words(log) == {
        "columns": "user_id = visitor_id, item_id = sku, timestamp = event_time; not read: event, price",
        "times": f"dates without an offset, taken for UTC; {UTC_ONLY}",
    }
    made = prepare(path, tmp_path / "prepared")
    assert made.read_as == log.read_as == describe(log).read_as == describe_prepared(made).read_as


def test_tables_in_memory_and_conditions() -> None:
    log = load_interactions(CLICKS.to_pandas(), item_column="sku,event", where="price > 1 and sku != S-9")
    assert words(log)["columns"] == (
        "user_id = visitor_id, item_id = sku + event, timestamp = event_time; for the condition: price"
    )
    table = {"item_id": ["a"], "user_id": ["u"]} | {f"c{n}": [0] for n in range(9)}
    assert words(load_interactions(table)) == {
        "columns": "user_id, item_id; not read: c0, c1, c2, c3, c4, c5, c6, c7, ... (9 columns)",
        "times": "none: rows are taken to stand in order (--timestamp-column names a column of times)",
    }


def test_tables_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "ratings.dat"
    path.write_text("".join(f"{u}::{i}::5::{978300760 + u + i}\n" for u in range(1, 4) for i in range(1, 4)))
    log = load_interactions(path, columns="user_id,item_id,rating,timestamp")
    assert words(log) == {
        "columns": "user_id, item_id, timestamp; not read: rating",
        "times": f"seconds since 1970; {UTC_ONLY}",
    }


@pytest.mark.parametrize("text", ["u a b c\nv c b a\n", "u : a b c\nv : c b a\n", "u a\nu b\nu c\nv b\nv c\nv a\n"])
def test_formats_without_columns(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log.txt"
    path.write_text(text)
    log = load_interactions(path)
    assert log.read_as == ReadAs()
    assert words(log) == {"times": "none: rows are taken to stand in order"}
    assert prepare(path, tmp_path / "prepared").read_as == ReadAs()


def test_files_with_other_columns_are_told_apart(tmp_path: Path) -> None:
    CLICKS.write_csv(tmp_path / "monday.csv")
    CLICKS.drop("price").with_columns(event_time=pl.lit("2024-04-01 10:00")).rename({"sku": "asin"}).write_parquet(
        tmp_path / "tuesday.parquet"
    )
    CLICKS.with_columns(event_time=pl.lit("2024-04-02")).write_csv(tmp_path / "wednesday.csv")
    files = sorted(tmp_path.iterdir())
    log = load_interactions(files, same_time="keep")
    assert list(words(log)) == ["columns of monday.csv", "columns of tuesday.parquet", "times"]
    assert words(log)["columns of tuesday.parquet"].startswith("user_id = visitor_id, item_id = asin")
    assert prepare(files[::2], tmp_path / "p").read_as == load_interactions(files[::2]).read_as
    assert list(words(load_interactions(files[::2]))) == ["columns", "times"]


def test_a_given_split_is_told(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("user,item,rating\nu,a,5\nu,b,4\n" + "\n".join([f"{name},c,1", ""]))
    assert words(load_interactions(tmp_path))["columns"] == "user_id = user, item_id = item; not read: rating"
    (tmp_path / "test.csv").write_text("user,product\nu,c\n")
    assert list(words(load_interactions(tmp_path))) == ["columns of train.csv", "columns of test.csv", "times"]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1711843200, 1711843201], f"seconds since 1970; {UTC_ONLY}"),
        ([1711843200_000, 1711843201_000], f"milliseconds since 1970; {UTC_ONLY}"),
        ([1, 2], "numbers of no known unit, as they are"),
        ([5, 1711843200], "numbers of no known unit, as they are"),
        ([1711843200, 1711843201_000], "numbers as they are: the earliest may be seconds since 1970, and the latest "
         f"milliseconds. {ONE_UNIT}"),
        ([date(2024, 3, 31), date(2024, 4, 1)], f"dates without an offset, taken for UTC; {UTC_ONLY}"),
        (["2024-03-31", "2024-04-01T10:00"], f"dates without an offset, taken for UTC; {UTC_ONLY}"),
        (["2024-03-31T10:00:00+02:00", "31 Mar 2024 10:00 UTC"], f"dates with an offset; {UTC_ONLY}"),
        (["2024-03-31T10:00Z", "2024-04-01"], f"dates, 1 of them without an offset and taken for UTC; {UTC_ONLY}"),
        (["31/03/2024 10:00", "01/04/2024"], f"dates as day/month/year without an offset, taken for UTC; {UTC_ONLY}"),
        ([datetime(2024, 3, 31), datetime(2024, 4, 1)], f"dates without an offset, taken for UTC; {UTC_ONLY}"),
        ([datetime(2024, 3, 31, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)], f"dates with an offset; {UTC_ONLY}"),
        ([datetime(2024, 3, day, tzinfo=timezone(timedelta(hours=2))).isoformat() for day in (1, 2)],
         f"dates with an offset; {UTC_ONLY}"),
    ],
)  # fmt: skip
def test_how_times_were_understood_is_told(times: list[object], expected: str) -> None:
    log = load_interactions({"user": ["u", "u"], "item": ["a", "b"], "time": times})
    assert words(log)["times"] == expected


def test_moments_with_a_zone_have_an_offset() -> None:
    times = pl.Series([datetime(2024, 3, 31), datetime(2024, 4, 1)])
    zoned = times.dt.replace_time_zone("Europe/Berlin")
    for series, offset in ((times, "without an offset, taken for UTC"), (zoned, "with an offset")):
        log = load_interactions(pl.DataFrame({"user": "u", "item": ["a", "b"], "time": series}))
        assert words(log)["times"] == f"dates {offset}; {UTC_ONLY}"


def test_a_given_form_of_times_is_told() -> None:
    table = {"user": ["u", "u"], "item": ["a", "b"], "time": ["01.03.24 10:00", "02.03.24 10:00"]}
    log = load_interactions(table, time_format="%d.%m.%y %H:%M")
    assert words(log)["times"] == f"dates as '%d.%m.%y %H:%M' without an offset, taken for UTC; {UTC_ONLY}"
    zoned = {**table, "time": ["01.03.24 10:00 +0100", "02.03.24 10:00 +0100"]}
    log = load_interactions(zoned, time_format="%d.%m.%y %H:%M %z")
    assert words(log)["times"] == f"dates as '%d.%m.%y %H:%M %z' with an offset; {UTC_ONLY}"


@pytest.mark.parametrize(
    "read_as",
    [
        ReadAs(),
        ReadAs((ColumnsTaken("u", ("i",)),), TimesRead(None)),
        ReadAs((ColumnsTaken("u", ("i",)),), TimesRead(None, units=("s", "us"))),
        ReadAs((ColumnsTaken("u", ("a", "b"), "t", ("c",), ("d", "e"), "f.csv"),), TimesRead("ms", "dates", 1, 2)),
    ],
)
def test_it_comes_back_from_a_document(read_as: ReadAs) -> None:
    document = json.loads(json.dumps(read_as.to_json()))
    assert document == read_as.to_json()
    assert ReadAs.of_json(document) == read_as


def test_a_zero_does_not_hide_two_units() -> None:
    table = pl.DataFrame({"user_id": ["u"] * 3, "item_id": list("abc"), "timestamp": [0, 1711843200, 1711843201_000]})
    assert "may be seconds since 1970, and the latest milliseconds" in words(load_interactions(table))["times"]


def test_many_ways_of_columns_are_not_all_listed() -> None:
    ways = tuple(ColumnsTaken("u", ("i",), file=f"{n}.csv") for n in range(12))
    assert list(ReadAs(ways).words())[7:] == ["columns of 7.csv", "columns of more files", "times"]


def test_pairs_are_counted_once_in_the_density() -> None:
    table = {"user": ["u"] * 5 + ["v"], "item": ["a", "a", "a", "b", "b", "a"]}
    assert describe(load_interactions(table)).density == pytest.approx(3 / 4)
