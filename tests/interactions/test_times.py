"""Times of every kind are read rightly, in their order, or refused in one line with a way out."""

from __future__ import annotations

import importlib
import math
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltfr.errors import DataError
from mltfr.interactions import load_interactions, prepare
from mltfr.interactions.timestamps import TimeReader

quick = settings(max_examples=60, deadline=None, derandomize=True)
MOMENT = 1_700_001_600  # 2023-11-14 22:40:00 UTC


def read(values, time_format=None, **options):
    """Return the times of a log as they are read, in the order of its rows."""
    series = values if isinstance(values, pl.Series) else pl.Series(values, dtype=options.get("dtype"))
    table = pl.DataFrame({"user": [str(n) for n in range(len(series))], "item": "i", "time": series})
    log = load_interactions(table, time_format=time_format).frame
    return log.sort(pl.col("user_id").cast(pl.Int64))["timestamp"]


def refusal(values, **options):
    with pytest.raises(DataError) as caught:
        read(values, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


SAME_MOMENT = (
    "2023-11-14T22:40:00", "2023-11-14 22:40:00", "2023-11-14 22:40", "2023-11-14 22:40:00 UTC", "2023-11-14 22:40 GMT",
    "2023-11-14T22:40:00Z", "2023-11-14t22:40:00 z", "2023-11-15T00:40:00+02:00", "2023-11-15T00:40:00+0200",
    "2023-11-15T00:40+02", "2023-11-15 00:40:00 +0200", "2023-11-14 17:10:00-05:30", "  2023-11-14 22:40:00 ",
    "2023-11-14 22:40:00,000", "2023-11-14 22:40:00.000000000", "2023/11/14 22:40", "2023.11.14 22:40:00",
    "20231114T224000Z", "14/Nov/2023:22:40:00 +0000", "14 Nov 2023 22:40", "14-Nov-2023 22:40:00",
    "Nov 14, 2023 10:40 PM", "November 14, 2023, 10:40:00 pm", "Tue Nov 14 22:40:00 +0000 2023",
    "Tue Nov 14 22:40:00 2023", "Tue, 14 Nov 2023 22:40:00 GMT", "2023-11-14 22:40:00 +0000 UTC",
    "2023-11-14T23:40:00+01:00[Europe/Paris]", "Wed Nov 15 2023 00:40:00 GMT+0200 (CEST)",
    "2023-11-14T22:40Z[UTC]", "2023-11-14T22:40:00.000Z[Etc/UTC]", "2023-11-14 23:40:00 +0100 (CET)",
    "2023-11-15T00:40+02[Africa/Cairo]", "Tue, 14 Nov 2023 22:40:00 GMT+00:00 (Greenwich Mean Time)",
    "2023-11-14 22:40 (UTC)", "2023-11-14T22:40:00[UTC]", "2023-11-14 22:40:00[Etc/UTC]",
    "2023-11-14 11:40 PM +0100 (CET)",
)  # fmt: skip


@pytest.mark.parametrize("text", SAME_MOMENT)
def test_one_moment_written_in_many_ways(text):
    times = read([text])
    assert times.to_list() == [MOMENT]
    assert times.dtype == pl.Int64


def test_dates_of_one_column_may_be_written_in_several_unambiguous_ways():
    assert read(list(SAME_MOMENT)).to_list() == [MOMENT] * len(SAME_MOMENT)
    assert read(["2019-11-01 00:00:00 UTC", "2019-11-01 00:00:01 UTC"]).to_list() == [1572566400, 1572566401]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2023-11-14 22:40:00,123", "2023-11-14 22:40:00,5"], [MOMENT + 0.123, MOMENT + 0.5]),
        (["2023-11-14T22:40:00.25+00:00", "2023-11-14T22:40:01Z"], [MOMENT + 0.25, MOMENT + 1.0]),
        (["2023-11-14T22:40:00.000000001", "2023-11-14T22:40:00.1"], [MOMENT * 10**9 + 1, MOMENT * 10**9 + 10**8]),
        (["9999-12-31T23:59:59.5", "1970-01-01"], [253402300799_500000, 0]),
        (["0001-01-01", "9999-12-31"], [-62135596800, 253402214400]),
    ],
)
def test_fractions_of_seconds(texts, expected):
    assert read(texts).to_list() == expected


def test_months_and_days_are_told_apart_by_the_column_or_refused():
    assert read(["01/02/2024", "01/13/2024 10:00"]).to_list() == [1704153600, 1705140000]
    assert read(["01/02/2024", "13/01/2024 10:00:00 PM"]).to_list() == [1706745600, 1705183200]
    assert read(["14.11.2023 22:40", "1.2.2024"]).to_list() == [MOMENT, 1706745600]
    assert read(["05/05/2024", "6/6/2024"]).to_list() == [1714867200, 1717632000]  # it makes no difference
    for texts in (["01/02/2024", "03/04/2024 10:00"], ["13/01/2024", "01/13/2024"]):
        found = refusal(texts)
        assert "may be month/day or day/month" in found
        assert "--time-format '%d/%m/%Y %H:%M'" in found
    assert read(["01/02/2024"], "%d/%m/%Y").to_list() == [1706745600]
    assert "'01/13/2024'" in refusal(["13/01/2024", "14/01/2024", "01/13/2024"])  # the odd one out is named


@pytest.mark.parametrize(
    ("value", "time_format", "expected"),
    [
        ("14/11/2023 22:40", "%d/%m/%Y %H:%M", MOMENT),
        ("14.11.23 22h40", "%d.%m.%y %Hh%M", MOMENT),
        ("20231114", "%Y%m%d", MOMENT - 81_600),
        (20231114224000, "%Y%m%d%H%M%S", MOMENT),
        ("11 14, 2023", "%m %d, %Y", MOMENT - 81_600),
        ("14/11/2023 22:40:00.250", "%d/%m/%Y %H:%M:%S.%f", MOMENT + 0.25),
        ("15/11/2023 00:40:00,5 +0200", "%d/%m/%Y %H:%M:%S,%f %z", MOMENT + 0.5),
        ("14/11/2023 22:40 UTC", "%d/%m/%Y %H:%M UTC", MOMENT),
    ],
)
def test_a_time_format_says_how_times_are_written(value, time_format, expected):
    assert read([value], time_format).to_list() == [expected]


@pytest.mark.parametrize(
    ("time_format", "message"),
    [
        ("%H:%M", r"'%H:%M' has no date, so that times of different days could not be told apart. Example"),
        ("at %-I.%M %p", r"has no date"),
        ("%R%t%%d", r"has no date"),
        ("%d %H:%M", r"must be written as '%d %H:%M'. Rows like that: 2 of 2. Correct --time-format"),
        ("%Y-%m-%d %Z", r"has %Z, the name of a zone"),
        ("soon", r"must be written as 'soon'. Rows like that: 2 of 2"),
        ("%m/%d/%Y", r"timestamp is '14/11/2023'. timestamp must be written as '%m/%d/%Y'"),
    ],
)
def test_a_wrong_time_format_is_said(time_format, message):
    with pytest.raises(DataError, match=message):
        read(["14/11/2023", "15/11/2023"], time_format)


def test_a_column_that_cannot_be_read_is_not_said_to_be_skipped():
    found = refusal(["yesterday"] * 30)
    assert "Rows like that: 30 of 30. Say how the times are written: --time-format" in found
    assert "--skip-invalid" not in found
    assert "30 of 31. Say" in refusal([*["yesterday"] * 30, "5"])
    assert "--skip-invalid" in refusal(["5"] * 30 + ["yesterday"])
    empty = refusal([None] * 20, dtype=pl.String)
    assert "timestamp is empty" in empty
    assert "--timestamp-column, or leave it out" in empty
    table = pl.DataFrame({"user": ["u"] * 3, "item": list("abc"), "time": ["soon"] * 3})
    with pytest.raises(DataError, match=r"Rows like that: 3 of 3\. Say how"):
        load_interactions(table, skip_invalid=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1,5", "2,5"], r"timestamp is '1,5', with a comma for its decimal point\. .* Write a point in place of"),
        (pl.Series([True, False]), r"timestamp has type Boolean"),
        (pl.Series([1, 2], dtype=pl.Duration("us")), r"timestamp has type Duration"),
        (pl.Series([1, 2], dtype=pl.Time), r"timestamp has type Time"),
        (pl.Series([[1], [2]]), r"timestamp has type List"),
        (pl.Series([b"1", b"2"]), r"timestamp has type Binary"),
        (pl.Series([math.nan, math.inf]), r"timestamp is 'nan'"),
        (["nan", "1"], r"timestamp is 'nan'"),
        (pl.Series([2**63 + 5, 1], dtype=pl.UInt64), r"'9223372036854775813', beyond the largest whole number"),
        ([str(2**63), "1"], r"'9223372036854775808', beyond the largest whole number"),
        (["1700000000000000001", "0.1234567"], r"fractions of 7 digits beside numbers of more than 17"),
        (["2023-11-14 22:40:00 CET", "2023-11-14"], r"'2023-11-14 22:40:00 CET'"),
        (["12023-01-01", "2023-01-01"], r"'12023-01-01'"),
        (["2023-01-01T00:00:00.1234567890", "2023-01-01"], r"'2023-01-01T00:00:00.1234567890'"),
        (["9999-01-01", "2023-01-01T00:00:00.000000001"], r"timestamp is '9999-01-01'"),
        (["13/01/24", "14/01/24"], r"timestamp is '13/01/24'.*--time-format"),
        (["24-01-13", "24-01-14 10:00:00"], r"timestamp is '24-01-13'.*--time-format"),
        (pl.Series([2**63 - 1, 0], dtype=pl.Datetime("us")), r"timestamp is '?9223372036854775807"),
        (["2023-02-29", "2023-01-01", "2023-01-02"], r"timestamp is '2023-02-29'"),
    ],
)
def test_what_is_no_time_is_refused_in_one_line(values, message):
    with pytest.raises(DataError, match=message):
        read(values)


@pytest.mark.parametrize("zone", ["[America/New_York]", " (EST)", " (Eastern Time)", "[EST]", "(PST)", " [CET]"])
@pytest.mark.parametrize(
    "moment",
    [
        "2024-05-31T18:00:00", "2024-05-31 18:00", "2024-05-31 18:00:00.5", "2024-05-31", "31-05-2024", "05-31-2024",
        "20240531T180000", "31 May 2024 06:00 PM", "31/05/2024 18:00", "Fri May 31 18:00:00 2024",
    ],
)  # fmt: skip
def test_a_zone_that_has_a_name_alone_is_not_dropped(moment, zone):
    found = refusal([moment + zone])
    assert f"timestamp is {(moment + zone)[:40]!r}" in found
    assert "--time-format" in found


def test_types_of_other_libraries():
    nanos = MOMENT * 10**9
    assert read(pl.Series([nanos + 1, nanos], dtype=pl.Datetime("ns", "Europe/Paris"))).to_list() == [nanos + 1, nanos]
    assert read(pl.Series([nanos, nanos], dtype=pl.Datetime("ns"))).to_list() == [MOMENT, MOMENT]
    assert read(pl.Series([MOMENT * 1000 + 5], dtype=pl.Datetime("ms"))).to_list() == [pytest.approx(MOMENT + 0.005)]
    assert read(pl.Series([date(2023, 11, 14)])).to_list() == [MOMENT - 81_600]
    assert read(pl.Series([10**8], dtype=pl.Int32).cast(pl.Date)).to_list() == [86_400 * 10**8]  # the year 275,000
    moments = np.array(["2023-11-14T22:40:00.000000001", "2023-11-14T22:40"], "datetime64[ns]")
    for values in (moments, pd.Series(moments).astype(object), list(pd.Series(moments).dt.tz_localize("UTC"))):
        table = pd.DataFrame({"user": ["u", "v"], "item": ["i", "j"], "time": values})
        assert load_interactions(table).frame["timestamp"].to_list() == [nanos, nanos + 1]
    assert read([Decimal("1700000000000000001.0"), Decimal("1700000000000000000.0")]).to_list() == [
        1700000000000000001, 1700000000000000000
    ]  # fmt: skip
    assert read([Decimal(5), Decimal(-7)]).dtype == pl.Float64


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1700000000000000002", "1700000000000000001", "1700000000000000000.0"], [2, 1, 0]),
        (["1700000000000000002", "1700000000000000001", "1.7e18"], [2, 1, 0]),
        (["1700000000000000002", "1700000000000000001", "1.700000000000000003e18"], [2, 1, 3]),
        (["1700000000.000000002", "1700000000.000000001", "1700000000"], [2, 1, 0]),
        ([" 1700000000000000002 ", "1700000000000000001", "+1700000000000000000"], [2, 1, 0]),
    ],
)
def test_nanoseconds_keep_their_order(texts, expected):
    times = read(texts)
    assert times.dtype == pl.Int64
    assert (times - 1_700_000_000_000_000_000).to_list() == expected


def test_short_fractions_stay_as_they_are():
    assert read(["1700000000.1234567", "5", "-0.5"]).to_list() == [1700000000.1234567, 5.0, -0.5]
    assert read(["881250949.0", "881250950.0"]).dtype == pl.Float64


whole = st.integers(-(2**62), 2**62)
numbers = st.one_of(
    whole.map(str),
    whole.map(lambda n: f"{n}.0"),
    st.integers(-(10**6), 10**6).map(str),
    st.decimals(-(10**9), 10**9, places=9).map(lambda d: f"{d:f}"),
    st.floats(-1e15, 1e15, allow_nan=False).map(repr),
)


@quick
@given(texts=st.lists(numbers, min_size=1, max_size=8))
def test_numbers_keep_the_order_of_exact_ones_or_are_refused(texts):
    reader = TimeReader()
    parsed = reader.look(pl.Series(texts))
    if reader.problem() is not None:
        return
    times = reader.read(parsed).to_list()
    exact = [Fraction(text) for text in texts]
    if None not in times:
        assert [a < b for a in times for b in times] == [a < b for a in exact for b in exact]
    if all(value.denominator == 1 for value in exact):
        assert times == exact


@quick
@given(moments=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=8), digits=st.sampled_from([0, 3, 6, 9]))
def test_dates_keep_the_order_of_exact_moments(moments, digits):
    step = 10 ** (9 - digits)
    exact = [moment // step * step for moment in moments]
    texts = []
    for moment in exact:
        seconds, nanos = divmod(moment, 10**9)
        fraction = f".{nanos:09d}"[: digits + 1] if digits else ""
        texts.append(str(np.datetime64(seconds, "s")) + fraction)
    clock_less = read(texts).to_list()
    assert [a < b for a in clock_less for b in clock_less] == [a < b for a in exact for b in exact]


@pytest.mark.parametrize(
    "texts",
    [
        ["1700000000000000002", "1700000000000000001", "1700000000000000000.0"],
        ["1700000000.000000002", "1700000000.000000001", "1700000000"],
        ["2023-11-14T22:40:00.000000002Z", "2023-11-14 22:40:00.000000001 UTC", "2023-11-14"],
        ["01/12/2023", "13/12/2023", "02/12/2023"],
    ],
)
def test_prepared_sets_read_the_same_times(tmp_path, texts, monkeypatch):
    monkeypatch.setattr(importlib.import_module("mltfr.interactions.prepare"), "LEAST_ROWS", 1)
    path = tmp_path / "log.csv"
    rows = [f"u,i{n},{text}" for n, text in enumerate(texts)]
    path.write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    log, made = load_interactions(path), prepare(path, tmp_path / "set", memory=512)
    assert made.fingerprint() == log.fingerprint()
    assert made.split.vocabulary.item_ids == (log.frame["item_id"][0],)
