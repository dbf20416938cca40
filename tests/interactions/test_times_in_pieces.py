"""What is read of a table, and what is said of it, does not depend on where its pieces end."""

from __future__ import annotations

import importlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltfr.errors import DataError
from mltfr.interactions import load_interactions, prepare
from mltfr.interactions.checks import Checking, RowChecks

NUMBERS = (
    "5", "-3", " 7 ", "1700000000", "1700000000000000001", "1700000000000000002", "9007199254740993", "5e9", "1.5",
    "1700000000.5", "1700000000.25", "0.123456789", "0.1234567891", "1e18", "-9223372036854775808",
    "9223372036854775807", "9223372036854775808", "9223372036854775000.0", "00000000000000000012", "2e-3",
)  # fmt: skip
DATES = (
    "2024-01-02", "2024-01-02T10:00:00Z", "2024-01-02 10:00:00.5", "2024-01-02 10:00:00,000001", "2024/01/02 10:00",
    "2024-01-02T10:00:00.000000001", "9999-12-31", "9999-12-31T23:59:59.5", "01/02/2024", "13/01/2024", "01/13/2024",
    "05/05/2024", "5.1.2024 10:00", "14 Nov 2023 22:40", "2024-01-02 10:00 (EST)", "2024-01-02T10:00:00+02:00[X/Y]",
    " 2024-01-02 ", "2024-01-02 10:00:00 UTC", "20240102T100000", "24-01-13",
)  # fmt: skip
NO_TIMES = ("", "soon", "nan", "inf", "1,5", "2023-02-29", None)


def outcome(table, cuts, how):
    """Return what the checks make of a table that is cut into pieces: its rows, or the error."""
    checks, ends = RowChecks(how), [*sorted({cut % len(table) for cut in cuts} - {0}), len(table)]
    table = table.with_row_index("row")
    try:
        looked = [checks.look(table[start:end])[0] for start, end in zip([0, *ends], ends, strict=False)]
        checks.require("log", str)
        read = pl.concat(checks.read(piece) for piece in looked)
        checks.require("log", str)
    except DataError as error:
        return str(error)
    return read.schema, read.rows(), checks.reader.clock, checks.skipped, checks.notes


def typed(values):
    return st.sampled_from([
        pl.Series(values, dtype=pl.Int64), pl.Series(values, dtype=pl.UInt64), pl.Series(values, dtype=pl.Float64),
        pl.Series([value * 1000 + value % 2 for value in values], dtype=pl.Datetime("ns")),
        pl.Series(values, dtype=pl.Decimal(38, 2)), pl.Series(values, dtype=pl.Datetime("us", "Europe/Paris")),
    ])  # fmt: skip


texts = st.one_of(*(
    st.lists(st.sampled_from(kinds), min_size=2, max_size=10)
    for kinds in (NUMBERS, NUMBERS[:8], DATES, DATES[:8], DATES[8:13], NUMBERS + DATES[:2], NUMBERS + DATES + NO_TIMES)
)).map(lambda values: pl.Series(values, dtype=pl.String))  # fmt: skip
columns = st.one_of(texts, st.lists(st.integers(0, 2**62 // 1000), min_size=2, max_size=10).flatmap(typed))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    times=columns,
    users=st.lists(st.sampled_from(["u", "v", " u", "v ", "", " ", None]), min_size=10, max_size=10),
    cuts=st.lists(st.integers(1, 9), max_size=3),
    skip_invalid=st.booleans(),
)
def test_any_cut_of_a_table_gives_the_same_as_the_whole(times, users, cuts, skip_invalid):
    size = len(times)
    users = users if skip_invalid else ["u"] * len(users)
    table = pl.DataFrame({"user_id": pl.Series(users[:size], dtype=pl.String), "item_id": "i", "timestamp": times})
    how = Checking(skip_invalid=skip_invalid)
    assert outcome(table, cuts, how) == outcome(table, [], how)


LONG = [str(1_700_000_000_000_000_000 + 1000 * n) for n in range(40)]


@pytest.mark.parametrize("late", ["5e9", "1700000000000000000.0", "1.5", "1700000000.5", "7", "0.1234567", "2e-3"])
@pytest.mark.parametrize("early", [LONG, LONG[::-1], ["9007199254740993"] * 40, ["12"] * 40])
def test_a_late_fraction_counts_in_memory_and_in_pieces_alike(tmp_path, monkeypatch, early, late):
    monkeypatch.setattr(importlib.import_module("mltfr.interactions.prepare"), "LEAST_ROWS", 1)
    path = tmp_path / "log.csv"
    rows = [f"u{n % 5},i{n},{text}\n" for n, text in enumerate([*early, late])]
    path.write_text("user_id,item_id,timestamp\n" + "".join(rows))
    found = []
    for read in (load_interactions, lambda path: prepare(path, tmp_path / "set", memory=512)):
        try:
            found.append(read(path).fingerprint())
        except DataError as error:
            found.append(str(error))
    assert found[0] == found[1]
