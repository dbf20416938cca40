"""Ids of one column must be of one type: 7 and "7" may or may not be the same user."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from mltfr.interactions.ids import EXPECTED, id_of, kind_of
from mltfr.interactions.raw import RawTable

KIND = "_kind"
"""A column `user_id_kind` beside `user_id` holds "string", "number", another type's name, or null."""


def reject_mixed(table: RawTable, role: str, skip_invalid: bool) -> RawTable:
    """Reject ids whose type is not that of most, and write numbers as ids; without a column of kinds nothing is done.

    Raises:
        DataError: there is such an id and `skip_invalid` is off.
    """
    if role + KIND not in table.frame.columns:
        return table
    table = _whole_numbers(table, role)
    kinds = table.frame[role + KIND]
    numbers, strings = int((kinds == "number").sum()), int((kinds == "string").sum())
    usual = "number" if numbers > strings else "string"
    ids = table.frame[role]

    def found(row: int) -> str:
        return f"{role} is a {kinds[row]} ({str(ids[row])[:40]})"

    most = f"It is a {usual} in {max(numbers, strings):,} rows; ids of one column must have one type."
    expected = most if numbers or strings else EXPECTED
    table = table.reject((kinds != usual).fill_null(False), found, expected, skip_invalid)
    return replace(table, frame=table.frame.drop(role + KIND))


def kinds_of(values: list[object], role: str) -> pl.Series:
    """Return the kinds of many values as the column that `reject_mixed` reads."""
    return pl.Series(role + KIND, [kind_of(value) for value in values], dtype=pl.String)


def _whole_numbers(table: RawTable, role: str) -> RawTable:
    """Return a table whose numbers are written as ids ("1.0" as "1"), with the kind of those that are none."""
    ids, kinds = table.frame[role], table.frame[role + KIND]
    other = ((kinds == "number") & ~ids.str.contains(r"^(?:0|-?[1-9]\d*)$")).fill_null(False).arg_true()
    if not len(other):
        return table
    values = [float(text) for text in ids.gather(other)]
    found = [kind_of(value) for value in values]
    texts = [id_of(value, role) if kind == "number" else str(value) for value, kind in zip(values, found, strict=True)]
    return replace(table, frame=table.frame.with_columns(ids.scatter(other, texts), kinds.scatter(other, found)))
