"""Unchecked rows as a reader found them, and how a row is rejected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.clock import UNKNOWN_CLOCK, Clock
from mltfr.interactions.read_as import ColumnsTaken

USER, ITEM, TIME = "user_id", "item_id", "timestamp"
ROW = "row"
"""Number of every row: a column of tables that are read in pieces, or of which rows were dropped."""


@dataclass
class Rejected:
    """The rows that one check rejects, over all pieces of a table: how many, and the first.

    Attributes:
        expected: what should stand in a row, a sentence.
        remedy: what to do where it is not a row that is wrong, but the reading of all; a sentence.
        rows: rows looked at so far.
        count: rejected rows so far.
        row: place of the first in the source.
        found: what stands in the first.
    """

    expected: str
    remedy: str = "Correct the file, or name its format with --format."
    rows: int = 0
    count: int = 0
    row: int = -1
    found: str = ""

    def drop(self, piece: pl.DataFrame, bad: pl.Series, found: Callable[[int], str]) -> pl.DataFrame:
        """Return a piece without its bad rows, and count them; what is left keeps its numbers in the column `row`.

        Args:
            piece: some rows, with the column `row` unless they are all rows of the table that the reader returned.
            bad: one bool per row.
            found: says what stands in a bad row of the piece.
        """
        count = int(bad.sum())
        self.rows += len(piece)
        if not count:
            return piece
        if ROW not in piece.columns:
            piece = piece.with_row_index(ROW)
        if not self.count:
            first = int(bad.arg_max() or 0)
            self.row, self.found = int(piece[ROW][first]), found(first)
        self.count += count
        return piece.filter(~bad)

    def takes(self, share: float) -> bool:
        """Say whether so many of the rows are rejected, or more."""
        return 0 < self.count >= share * self.rows

    def error(self, name: str, place: Callable[[int], str], share: float = 1) -> DataError:
        """Return the error about the first rejected row; where `share` of them are, what to do instead of dropping.

        See `RawTable` for the other arguments.
        """
        if not self.takes(share):
            return invalid_row(name, place(self.row), self.found, self.expected, self.count)
        counts = f"Rows like that: {self.count:,} of {self.rows:,}"
        return DataError(f"{name}, {place(self.row)}: {self.found}. {self.expected} {counts}. {self.remedy}")


@dataclass(frozen=True)
class RawTable:
    """Unchecked interactions of one source.

    Attributes:
        name: the file, or "in-memory table", for messages.
        frame: columns `user_id`, `item_id` and, where there is one, `timestamp`; `row` where rows were dropped.
        place: says where a row stands ("line 7"), by the number it had before any was dropped; for errors only.
        skipped: invalid rows that were dropped, with `skip_invalid`.
        repeats: rows of these that repeated another one with the same time.
        notes: what was done to the rows that people should know and that is no error, a sentence each.
        clock: what is known of the times from reading them.
        columns: the columns that were taken, where the format has some.
        first_skipped: where the first of the rows stood that were dropped, and what was wrong with it, if it is known.
    """

    name: str
    frame: pl.DataFrame
    place: Callable[[int], str]
    skipped: int = 0
    notes: tuple[str, ...] = ()
    clock: Clock = UNKNOWN_CLOCK
    repeats: int = 0
    columns: tuple[ColumnsTaken, ...] = ()
    first_skipped: str = ""

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
        rejected = Rejected(expected)
        frame = rejected.drop(self.frame, bad, found)
        if rejected.count and not skip_invalid:
            raise rejected.error(self.name, self.place)
        first = f"{self.place(rejected.row)}: {rejected.found}. {expected}" if rejected.count else ""
        return replace(
            self, frame=frame, skipped=self.skipped + rejected.count, first_skipped=self.first_skipped or first
        )


def invalid_row(name: str, place: str, found: str, expected: str, count: int | None = None) -> DataError:
    """Return the error about one row: file, place, what was found, what was expected, and the remedy."""
    number = f" ({count:,} found)" if count else ""
    return DataError(
        f"{name}, {place}: {found}. {expected} Remove the row, or pass --skip-invalid to drop such rows{number}."
    )
