"""Ids of one column must be of one type: 7 and "7" may or may not be the same user."""

from __future__ import annotations

import polars as pl

from mltfr.interactions.raw import RawTable

KIND = "_kind"
"""A column `user_id_kind` beside `user_id` holds "string", "number", another type's name, or null."""


def reject_mixed(table: RawTable, role: str, skip_invalid: bool) -> RawTable:
    """Reject ids whose type is not that of most; without a column of kinds there is nothing to do.

    Raises:
        DataError: there is such an id and `skip_invalid` is off.
    """
    if role + KIND not in table.frame.columns:
        return table
    kinds = table.frame[role + KIND]
    numbers, strings = int((kinds == "number").sum()), int((kinds == "string").sum())
    usual = "number" if numbers > strings else "string"
    ids = table.frame[role]

    def found(row: int) -> str:
        return f"{role} is a {kinds[row]} ({str(ids[row])[:40]})"

    expected = f"It is a {usual} in {max(numbers, strings):,} rows; ids of one column must have one type."
    table = table.reject((kinds != usual).fill_null(False), found, expected, skip_invalid)
    return RawTable(table.name, table.frame.drop(role + KIND), table.place, table.skipped)


def kind_of(value: object) -> str | None:
    """Return the kind of a Python value, as JSON tells them apart."""
    if value is None or value != value:  # NaN is a missing value in pandas
        return None
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def kinds_of(values: list[object], role: str) -> pl.Series:
    """Return the kinds of many values as the column that `reject_mixed` reads."""
    return pl.Series(role + KIND, [kind_of(value) for value in values], dtype=pl.String)
