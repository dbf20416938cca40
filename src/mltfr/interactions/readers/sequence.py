"""Sequence text: one user a line, `user item item ...` or `user : item item ...`, oldest first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from mltfr.interactions.columns import Columns
from mltfr.interactions.raw import ITEM, USER, RawTable
from mltfr.interactions.readers.preamble import rows_of_text


def read_plain(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read `user item item ...`; there are no columns to name.

    Raises:
        DataError: a line has no item, or a user stands on two lines.
    """
    return _read(path, skip_invalid, colon=False)


def read_colon(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read `user : item item ...`; there are no columns to name.

    Raises:
        DataError: a line has no colon or no item, or a user stands on two lines.
    """
    return _read(path, skip_invalid, colon=True)


def read_words(path: Path) -> RawTable:
    """Return the words of every line that is not blank, in a column `words`."""
    table = rows_of_text(path)
    return replace(table, frame=table.frame.select(pl.col("line").str.extract_all(r"\S+").alias("words")))


def _apart(words: pl.Expr) -> pl.Expr:
    """Return words in which a colon behind the user is a word of its own: `user: item` is `user : item`."""
    user, colon = words.list.first(), pl.lit(":")
    joined = pl.concat_list(user.str.strip_suffix(":"), colon, words.list.slice(1))
    return pl.when(user.str.contains(r".:$")).then(joined).otherwise(words).alias("words")


def _read(path: Path, skip_invalid: bool, colon: bool) -> RawTable:
    form = "user : item item ..." if colon else "user item item ..."
    expected = f"Every line must be `{form}`."
    table = read_words(path)
    if colon:
        table = replace(table, frame=table.frame.select(_apart(pl.col("words"))))
        lacks = table.frame["words"].list.get(1, null_on_oob=True) != ":"
        table = table.reject(lacks.fill_null(True), lambda _: "no colon behind the user", expected, skip_invalid)
    start = 2 if colon else 1
    short = table.frame["words"].list.len() <= start
    table = table.reject(short, lambda _: "the user has no items", expected, skip_invalid)
    users = table.frame["words"].list.first()
    again = ~users.is_first_distinct()

    def found(row: int) -> str:
        return f"user {users[row]!r} stands on {table.place(int((users == users[row]).arg_max() or 0))} already"

    one_line = f"{expected} Where the lines are rows of a table, give it a header line (user_id, item_id)."
    table = table.reject(again, found, one_line, skip_invalid)
    items = table.frame.select(pl.col("words").list.first().alias(USER), pl.col("words").list.slice(start).alias(ITEM))
    ends = np.cumsum(items[ITEM].list.len().to_numpy())
    place = table.place
    flat = items.explode(ITEM, empty_as_null=False)
    return replace(table, frame=flat, place=lambda row: place(int(np.searchsorted(ends, row, "right"))))
