"""Rows as a reader found them, before the checks, and how a row is rejected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from mltfr.errors import DataError

USER, ITEM, TIME = "user_id", "item_id", "timestamp"


@dataclass(frozen=True)
class RawTable:
    """Unchecked interactions of one source.

    Attributes:
        name: the file, or "in-memory table", for messages.
        frame: columns `user_id`, `item_id` and, where there is one, `timestamp`.
        place: says where a row of `frame` stands ("line 7"); called for errors only.
        skipped: rows that were dropped on the user's wish.
    """

    name: str
    frame: pl.DataFrame
    place: Callable[[int], str]
    skipped: int = 0

    def reject(self, bad: pl.Series, found: Callable[[int], str], expected: str, skip_invalid: bool) -> Self:
        """Return the table without the bad rows, or raise where they may not be skipped.

        Args:
            bad: one bool per row.
            found: says what stands in a bad row.
            expected: what should stand there, a sentence.
            skip_invalid: whether bad rows are dropped and counted instead of being an error.

        Raises:
            DataError: there is a bad row and `skip_invalid` is off.
        """
        count = int(bad.sum())
        if not count:
            return self
        if skip_invalid:
            return replace(self, frame=self.frame.filter(~bad), skipped=self.skipped + count)
        row = int(bad.arg_max() or 0)
        raise invalid_row(self.name, self.place(row), found(row), expected, count)


def invalid_row(name: str, place: str, found: str, expected: str, count: int | None = None) -> DataError:
    """Return the error about one row: file, place, what was found, what was expected, and the remedy."""
    number = f" ({count:,} found)" if count else ""
    return DataError(
        f"{name}, {place}: {found}. {expected} Remove the row, or pass --skip-invalid to drop such rows{number}."
    )
