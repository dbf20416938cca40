"""Dates as borders mean the moments that the description shows, whatever the unit of the log."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mltfr.cli.data import app
from mltfr.errors import ConfigError, DataError, ProtocolError
from mltfr.evaluation import EvaluationProtocol, require_same
from mltfr.interactions import (
    FilterConfig,
    InteractionLog,
    SplitConfig,
    apply_filters,
    describe,
    load_interactions,
    prepare,
    split,
)
from mltfr.interactions.borders import as_text
from mltfr.interactions.clock import PARTS, Clock, shown, with_dates

START = 1_700_000_000  # 2023-11-14 22:13:20 UTC
UNITS = tuple(PARTS)


def frame_in(unit, rows=516, step=7):
    """A log with an interaction every seven seconds, as one that was seen had it."""
    times = [(START + step * (n + 1)) * PARTS[unit] for n in range(rows)]
    return pl.DataFrame({"user_id": [f"u{n % 12}" for n in range(rows)], "item_id": [f"i{n % 17}" for n in range(rows)],
                         "timestamp": times})  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("border", "left"),
    [
        ("2023-11-14T22:40:00", 288), ("2023-11-14 22:40:00 UTC", 288), ("2023-11-14T23:40:00+01:00", 288),
        ("2023-11-14T22:40:00.5", 288), ("2023-11-14", 516), ("2023-11-14T22:39:58", 288), ("2023-11-14T22:39:56", 289),
    ],
)  # fmt: skip
def test_a_date_means_the_same_moment_in_every_unit(tmp_path, unit, border, left):
    path = tmp_path / "log.csv"
    frame_in(unit).write_csv(path)
    kept, _ = apply_filters(load_interactions(path), FilterConfig(since=border))
    assert len(kept) == left
    if left < 516:
        assert len(apply_filters(load_interactions(path), FilterConfig(until=border))[0]) == 516 - left
    assert len(prepare(path, tmp_path / "set", filters=FilterConfig(since=border))) == left


@pytest.mark.parametrize("unit", UNITS)
def test_the_description_shows_the_moments(tmp_path, unit):
    path = tmp_path / "log.csv"
    frame_in(unit).write_csv(path)
    assert "2023-11-14 22:13 to 2023-11-14 23:13 (UTC)" in CliRunner().invoke(app, ["describe", str(path)]).stdout
    assert describe(load_interactions(path)).time_unit == unit


BIG = [1, 50_000_000, 100_000_000, 200_000_000]
COUNTERS = (BIG, [0, *BIG], [-3, *BIG], [0, 5 * 10**7, 5 * 10**10], [1, START * 1000], [5 * 10**9, 2 * 10**10],
            [-START, 0, 7], [1e-9, 2e8], [1, 2, 3], [0, 1, 516], [20231114, 20231115],
            [20231114224000, 20231115224000], [-5, 3], [START, START * 1000], [1.5, 2.5])  # fmt: skip


@pytest.mark.parametrize("times", COUNTERS)
def test_a_counter_has_no_dates(tmp_path, times):
    path = tmp_path / "log.csv"
    pl.DataFrame({"user": "u", "item": [str(t) for t in times], "time": times}).write_csv(path)
    message = r"'filters.since' is the date '2023-11-14', but the log's times go from .* Give a number like these; "
    message += "or if they are dates, say how they are written: --time-format '%Y%m%d'"
    with pytest.raises(DataError, match=message):
        apply_filters(load_interactions(path), FilterConfig(since="2023-11-14"))
    with pytest.raises(DataError, match=message):
        prepare(path, tmp_path / "set", filters=FilterConfig(since="2023-11-14"))
    assert describe(load_interactions(path)).time_unit is None
    assert len(apply_filters(load_interactions(path), FilterConfig(since=sorted(times)[1]))[0]) == len(times) - 1


def test_the_digits_of_a_counter_are_all_shown(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,timestamp\nu,i,1\nu,j,1234567\n")
    assert "1 to 1234567 (no known unit)" in CliRunner().invoke(app, ["describe", str(path)]).stdout
    assert shown(12345678.25, None) == "12345678.25"


def test_an_error_shows_the_times_of_a_log_as_numbers_and_as_dates():
    config = SplitConfig(method="global-time", validation_from="2001-01-01", test_from="2002-01-01")
    message = r"go from 1700000007000 to 1700003612000 \(2023-11-14 22:13 to 2023-11-14 23:13 UTC\); start"
    with pytest.raises(DataError, match=message):
        split(load_interactions(frame_in("ms")), config)


def test_dates_of_the_log_need_no_guess():
    dates = ["1970-01-01", "1970-01-02T00:00:00.5", "9999-12-31"]
    log = load_interactions(pl.DataFrame({"user": "u", "item": list("abc"), "time": dates}))
    assert describe(log).time_unit == "s"
    assert len(apply_filters(log, FilterConfig(since="1970-01-02T00:00:00.5"))[0]) == 2
    assert len(apply_filters(log, FilterConfig(until="9999-12-31"))[0]) == 2
    assert shown(log.span()[1], "s") == "9999-12-31 00:00"


@settings(max_examples=40, deadline=None, derandomize=True)
@given(micros=st.lists(st.integers(1, 2 * 10**15), min_size=2, max_size=9, unique=True))
def test_a_moment_of_the_log_is_its_own_border(micros):
    moments = pl.Series(micros, dtype=pl.Datetime("us"))
    log = load_interactions(pl.DataFrame({"user": "u", "item": [str(m) for m in micros], "time": moments}))
    border = max(micros)
    kept, _ = apply_filters(log, FilterConfig(since=str(np.datetime64(border, "us"))))
    assert kept.frame["item_id"].to_list() == [str(border)]


def test_a_zero_that_stands_for_no_time_does_not_hide_the_unit():
    log = InteractionLog(pl.DataFrame({"user_id": "u", "item_id": list("ab"), "timestamp": [0, START * 1000]}))
    assert describe(log).time_unit == "ms"
    assert len(apply_filters(log, FilterConfig(since="2023-01-01"))[0]) == 1


def test_fractions_that_became_whole_numbers_are_cut_where_the_file_says():
    times = [f"{START}.{nanos:09d}" for nanos in (1, 2, 500_000_000)]
    log = load_interactions(pl.DataFrame({"user": "u", "item": list("abc"), "time": times}))
    assert log.clock == Clock(scale=10**9)
    assert describe(log).time_unit == "s"
    for border, left in ((START, 3), ("2023-11-14T22:13:20.000000002", 2), (START + 0.25, 1), (f"{START}", 3)):
        assert len(apply_filters(log, FilterConfig(since=border))[0]) == left


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    times=st.lists(st.integers(10**17, 2**62), min_size=2, max_size=9, unique=True),
    border=st.integers(10**17, 2**62),
)
def test_whole_numbers_are_cut_exactly(times, border):
    log = InteractionLog(pl.DataFrame({"user_id": "u", "item_id": [str(t) for t in times], "timestamp": sorted(times)}))
    for value in (border, times[0]):
        after = [time for time in sorted(times) if time >= value]
        config = FilterConfig(since=value)
        assert config.since == value
        if after:
            assert apply_filters(log, config)[0].frame["timestamp"].to_list() == after


@pytest.mark.parametrize(("since", "until", "left"), [(1.5, 100.0, [2, 3]), (2, 100.0, [2, 3]), (-9.0, 1.5, [0, 1])])
def test_whole_numbers_are_cut_between_two_of_them(since, until, left):
    log = InteractionLog(pl.DataFrame({"user_id": "u", "item_id": list("abcd"), "timestamp": [0, 1, 2, 3]}))
    assert apply_filters(log, FilterConfig(since=since, until=until))[0].frame["timestamp"].to_list() == left


@pytest.mark.parametrize("unit", UNITS)
def test_a_split_at_dates_is_that_at_their_numbers(tmp_path, unit):
    log = load_interactions(frame_in(unit))
    dates = SplitConfig.parse({"method": "global-time", "validation_from": "2023-11-14T22:40:00",
                               "test_from": "2023-11-14 23:00 UTC"}, "split")  # fmt: skip
    numbers = SplitConfig(method="global-time", validation_from=1_700_001_600 * PARTS[unit],
                          test_from=1_700_002_800 * PARTS[unit])  # fmt: skip
    found, expected = split(log, dates), split(log, numbers)
    assert found.train_length.tolist() == expected.train_length.tolist()
    assert found.test.cut.tolist() == expected.test.cut.tolist()
    assert found.method == "global-time(validation_from=2023-11-14T22:40:00, test_from=2023-11-14 23:00 UTC)"
    path = tmp_path / "log.parquet"
    frame_in(unit).write_parquet(path)
    assert prepare(path, tmp_path / "set", split=dates).split.test.cut.tolist() == expected.test.cut.tolist()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("validation", "test"),
    [
        (1_700_002_800, "2023-11-14T22:40:00"), ("2023-11-14T23:00:00", 1_700_001_600),
        (1_700_001_600, "2023-11-14T22:40:00"), ("2023-11-14T22:40:00", 1_700_001_600),
    ],
)  # fmt: skip
def test_a_number_and_a_date_of_a_split_are_compared(tmp_path, unit, validation, test):
    borders = [border if isinstance(border, str) else border * PARTS[unit] for border in (validation, test)]
    config = SplitConfig(method="global-time", validation_from=borders[0], test_from=borders[1])
    message = r"validation_from \(.*\) must lie before test_from \(.*\), but in the times of this log, .* they are"
    with pytest.raises(DataError, match=message):
        split(load_interactions(frame_in(unit)), config)
    frame_in(unit).write_csv(tmp_path / "log.csv")
    with pytest.raises(DataError, match=message):
        prepare(tmp_path / "log.csv", tmp_path / "set", split=config)


def test_a_number_and_a_date_in_order_are_a_split():
    log = load_interactions(frame_in("s"))
    mixed = SplitConfig(method="global-time", validation_from=1_700_001_600, test_from="2023-11-14T23:00:00")
    numbers = SplitConfig(method="global-time", validation_from=1_700_001_600, test_from=1_700_002_800)
    assert split(log, mixed).test.cut.tolist() == split(log, numbers).test.cut.tolist()


def test_shares_of_nanoseconds_are_exact(tmp_path):
    times = [1_700_000_000_000_000_000 + n for n in range(100)]
    table = pl.DataFrame({"user": "u", "item": [f"i{n % 3}" for n in range(100)], "time": times})
    assert split(load_interactions(table), SplitConfig(method="global-time")).train_length.tolist() == [80]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation_from": "2024-02-01", "test_from": "2024-01-01"}, r"must lie before test_from"),
        ({"validation_from": 0.5, "test_from": "2024-01-01"}, r"both be shares"),
        ({"validation_from": "soon", "test_from": "2024-01-01"}, r"'soon' is neither a timestamp nor an ISO date"),
        ({"validation_from": "01/02/2024", "test_from": "2024-01-01"}, r"'01/02/2024' is neither"),
        ({"validation_from": True}, r"neither a timestamp"),
        ({"validation_from": float("nan")}, r"'nan' is neither"),
        ({"test_from": 10**400}, r"neither a timestamp"),
    ],
)
def test_borders_that_are_none(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        SplitConfig.parse({"method": "global-time", **settings}, "split")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("border", "text"),
    [(0.8, "0.8"), (1600000007.0, "1600000007"), (1600000000000007, "1600000000000007"),
     (2**53 + 1, "9007199254740993"),
     (1600000007.25, "1600000007.25"), ("2024-01-01", "2024-01-01"), (1e6, "1000000"), (-5.0, "-5")],
)  # fmt: skip
def test_a_border_is_written_with_all_its_digits(border, text):
    assert as_text(border) == text


def test_a_global_time_split_names_its_moments_exactly(tmp_path):
    path, start = tmp_path / "log.csv", 1_600_000_000_000_000
    path.write_text("user_id,item_id,timestamp\n" + "".join(f"u{n % 2},i{n},{start + n}\n" for n in range(9)))
    config = SplitConfig(method="global-time", validation_from=start + 5, test_from=start + 7)
    found = split(load_interactions(path), config)
    assert found.method == f"global-time(validation_from={start + 5}, test_from={start + 7})"


def test_a_counter_is_shown_with_all_its_digits():
    assert [shown(time, None) for time in (12_345_678, 12_345_678.0, 0.5)] == ["12345678", "12345678", "0.5"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("(validation_from=1514764800, test_from=1530448200)",
         "(validation_from=2018-01-01, test_from=2018-07-01 12:30)"),
        ("(validation_from=1514764800.5, test_from=1514764801)",
         "(validation_from=2018-01-01 00:00:00.5, test_from=2018-01-01 00:00:01)"),
        ("(validation_from=1514764800000, test_from=1530448200001)",
         "(validation_from=2018-01-01, test_from=2018-07-01 12:30:00.001)"),
        ("(validation_from=2017-06-01, test_from=1514764800)", "(validation_from=2017-06-01, test_from=2018-01-01)"),
        ("(validation_from=0.8, test_from=0.9)", None),
        ("(validation_from=100, test_from=200)", None),
        ("(validation_from=1514764800, test_from=1530448200000)", None),  # of two units: a counter
        ("(validation_from=2017-06-01T00:00:00+01:00, test_from=2018-01-01)", None),
    ],
)  # fmt: skip
def test_borders_that_are_moments_are_shown_as_dates(name: str, expected: str | None) -> None:
    assert with_dates(f"global-time{name}") == f"global-time{expected or name}"


def test_what_has_no_borders_is_shown_as_it_is() -> None:
    assert [with_dates(name) for name in ("leave-one-out", "leave-last-n(n=3)", "given")] == [
        "leave-one-out", "leave-last-n(n=3)", "given"
    ]  # fmt: skip


def test_no_number_of_a_protocol_is_shown_to_people() -> None:
    name = "global-time(validation_from=1514764800, test_from={})"
    one, other = (EvaluationProtocol(split=name.format(border)) for border in (1530448200, 1530448260))
    with pytest.raises(ProtocolError, match=r"test_from=2018-07-01 12:30\)' in one, .*test_from=2018-07-01 12:31\)'"):
        require_same(one, other)
