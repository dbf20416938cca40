"""What must hold of every interaction, whatever file it came from."""

from __future__ import annotations

from functools import partial

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.raw import ITEM, TIME, USER, RawTable
from mltfr.interactions.timestamps import parse_timestamps

ROW = "Every row needs user_id and item_id."
ONCE = "An interaction with its time must stand once."


def check(table: RawTable, skip_invalid: bool) -> RawTable:
    """Return the table with string ids and numeric times, in stable order of time.

    Raises:
        DataError: a row has an empty id, an unusable time, or repeats another one with the same time, and
            `skip_invalid` is off; or no row is left.
    """
    for column in (USER, ITEM):
        table = table.reject(is_empty(table.frame[column]), partial(_empty, column), ROW, skip_invalid)
    if TIME in table.frame.columns:
        table = _without_repeats(parse_timestamps(table, skip_invalid), skip_invalid)
    if table.frame.is_empty():
        dropped = f" ({table.skipped:,} invalid ones were dropped)" if table.skipped else ""
        raise DataError(f"{table.name}: no usable rows{dropped}. Expected at least one user and item.")
    return _sorted(table)


def is_empty(ids: pl.Series) -> pl.Series:
    """Say of every id whether it is missing or blank."""
    return ids.is_null() | ~ids.fill_null("").str.contains(r"\S")


def _empty(column: str, row: int) -> str:
    return f"{column} is empty"


def _without_repeats(table: RawTable, skip_invalid: bool) -> RawTable:
    """Reject rows that repeat an earlier one to the second: a log written twice, not a habit.

    Without times, repeats are kept: buying an item again is an interaction.
    """
    frame = table.frame
    repeats = repeats_of(frame.select(USER, ITEM, TIME))

    def found(row: int) -> str:
        user, item, time = frame.select(USER, ITEM, TIME).row(row)
        same = (pl.col(USER) == user) & (pl.col(ITEM) == item) & (pl.col(TIME) == time)
        first = frame.select(same.arg_max()).item()
        return found_repeat(table.place(first), user, item, time)

    return table.reject(repeats, found, ONCE, skip_invalid)


def found_repeat(place: str, user: str, item: str, time: float) -> str:
    """Return what a row that repeats the one at `place` is said to be."""
    return f"repeats {place} (user {user!r}, item {item!r}, timestamp {time})"


def repeats_of(frame: pl.DataFrame) -> pl.Series:
    """Say of every row whether an equal one stands before it; rows are compared only where hashes meet."""
    hashes = frame.hash_rows()
    repeats = pl.repeat(False, len(frame), eager=True)
    if hashes.n_unique() == len(frame):
        return repeats
    alike = hashes.is_duplicated().arg_true()
    first = frame[alike].select(pl.struct(pl.all()).is_first_distinct()).to_series()
    return repeats.scatter(alike.filter(~first), True)


def _sorted(table: RawTable) -> RawTable:
    if TIME not in table.frame.columns or table.frame[TIME].is_sorted():
        return table
    return RawTable(table.name, table.frame.sort(TIME, maintain_order=True), table.place, table.skipped)
