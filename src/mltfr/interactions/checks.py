"""Checks of interactions: ids, timestamps and repeats, whatever file they came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.columns import part
from mltfr.interactions.ids import DecimalIds, MissingTexts, Strip
from mltfr.interactions.raw import ITEM, ROW, TIME, USER, RawTable, Rejected
from mltfr.interactions.timestamps import (
    CORRECT,
    DECIMAL_COMMA,
    EXPECTED,
    FORMAT,
    ParsedTimes,
    TimeReader,
    found_time,
    shown_value,
)

SameTime = Literal["refuse", "keep"]
ONCE = "An interaction with its time must stand once; where that is no mistake, set filters.same_time=keep."
JOINER = "|"
"""What stands between the parts of an id that several columns make."""
UNUSABLE = 0.9
"""Share of ids or times that cannot be read from which on it is the column that is wrong, not a row."""
_IDS = "Every row needs user_id and item_id."


@dataclass(frozen=True)
class Checking:
    """How a table is checked.

    Attributes:
        skip_invalid: drop invalid rows and count them instead of raising.
        time_format: how dates are written, a pattern of strftime; recognised if None.
        same_time: whether interactions that repeat another one with the same time are invalid, or kept.
    """

    skip_invalid: bool = False
    time_format: str | None = None
    same_time: SameTime = "refuse"


class RowChecks:
    """The checks of single rows, over all pieces of a table: ids that are not empty, and usable times.

    Every piece goes through `look`; when all have, every piece goes through `read`. Behind each, `require` raises.

    Args:
        how: what is asked of the rows.
    """

    def __init__(self, how: Checking) -> None:
        expected, remedy = EXPECTED, FORMAT
        if how.time_format is not None:
            expected, remedy = f"timestamp must be written as {how.time_format!r}.", CORRECT
        self.how = how
        user, item = (f"Name the column of the {role}s with --{role}-column." for role in ("user", "item"))
        self.rejected = {USER: Rejected(_IDS, user), ITEM: Rejected(_IDS, item), TIME: Rejected(expected, remedy)}
        self.reader = TimeReader(how.time_format)
        self.stripped = {column: Strip(f"values of {column}") for column in (USER, ITEM)}
        self.stripped_parts = Strip("the parts of item_id")
        self.decimal = {column: DecimalIds(f"values of {column}") for column in (USER, ITEM)}
        self.missing = {column: MissingTexts(f"values of {column}") for column in (USER, ITEM)}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the ids, and what looks odd in them."""
        strips = (*self.stripped.values(), self.stripped_parts)
        told: tuple[Strip | DecimalIds | MissingTexts, ...] = (*strips, *self.decimal.values(), *self.missing.values())
        return tuple(note for each in told for note in each.notes)

    @property
    def skipped(self) -> int:
        """Number of rejected rows."""
        return sum(rejected.count for rejected in self.rejected.values())

    def look(self, piece: pl.DataFrame) -> tuple[pl.DataFrame, ParsedTimes | None]:
        """Return a piece without rows that lack an id, and its times as they were parsed to look at them.

        Parts of an item's id are joined.
        """
        for part_of_id in _parts(piece):
            self.stripped_parts.look(piece[part_of_id])
        piece = joined(piece)
        for column in (USER, ITEM):
            blank = self.stripped[column].look(piece[column])
            self.decimal[column].look(piece[column])
            self.missing[column].look(piece[column])
            piece = self.rejected[column].drop(piece, blank, partial(_empty, column))
        return piece, self.reader.look(piece[TIME]) if TIME in piece.columns else None

    def read(self, piece: pl.DataFrame, parsed: ParsedTimes | None = None) -> pl.DataFrame:
        """Return a piece without white space around its ids, and with its times as numbers, without unusable ones.

        Args:
            piece: what `look` returned.
            parsed: its times, where they were kept.
        """
        if any(strip.count for strip in self.stripped.values()):
            piece = piece.with_columns(strip.strip(piece[column]) for column, strip in self.stripped.items())
        if TIME not in piece.columns:
            return piece
        given = piece[TIME]
        times = self.reader.read(parsed or self.reader.parse(given))
        read = piece.with_columns(times.alias(TIME))
        return self.rejected[TIME].drop(read, times.is_null(), lambda row: found_time(shown_value(given, row)))

    def require(self, name: str, place: Callable[[int], str]) -> None:
        """Raise DataError about a column of times, or the first row that was rejected, unless rows are skipped."""
        problem, times = self.reader.problem(), self.rejected[TIME]
        if problem is not None:
            raise DataError(f"{name}: {problem}")
        if times.found == found_time(None):
            times.remedy = "Name the column of the times with --timestamp-column, or leave it out."
        elif times.found.endswith(DECIMAL_COMMA):
            times.remedy = "Write a point in place of the comma."
        share = 1 if self.how.skip_invalid else UNUSABLE
        for rejected in sorted(self.rejected.values(), key=lambda rejected: not rejected.takes(share)):
            if rejected.takes(share) or (rejected.count and not self.how.skip_invalid):
                raise rejected.error(name, place, share)


def check(table: RawTable, how: Checking) -> RawTable:
    """Return a table in memory with string ids and numeric times, in stable order of time.

    Args:
        table: what a reader found.
        how: what is asked of the rows.

    Raises:
        DataError: a row has an empty id, an unusable time, or repeats another one with the same time, and
            `skip_invalid` is off; or no row is left.
    """
    checks = RowChecks(how)
    frame, parsed = checks.look(table.frame)
    checks.require(table.name, table.place)
    frame = checks.read(frame, parsed)
    checks.require(table.name, table.place)
    table = replace(
        table, frame=frame, skipped=table.skipped + checks.skipped, notes=table.notes + checks.notes,
        clock=checks.reader.clock,
    )  # fmt: skip
    if TIME in frame.columns and how.same_time == "refuse":
        table = _without_repeats(table, how.skip_invalid)
        table = replace(table, repeats=len(frame) - len(table.frame))
    table = replace(table, frame=table.frame.drop(ROW, strict=False))
    if table.frame.is_empty():
        raise no_rows(table.name, table.skipped)
    if TIME not in frame.columns or table.frame[TIME].is_sorted():
        return table
    return replace(table, frame=table.frame.sort(TIME, maintain_order=True))


def no_rows(name: str, skipped: int) -> DataError:
    """Return the error about a table that holds nothing."""
    if not skipped:
        return DataError(f"{name}: no usable rows. Expected at least one user and item.")
    told = "Leave out --skip-invalid to see what is wrong with the first."
    return DataError(f"{name}: no usable rows (invalid and dropped: {skipped:,}). {told}")


def found_repeat(place: str, user: str, item: str, time: float) -> str:
    """Return what a row that repeats the one at `place` is said to be."""
    return f"repeats {place} (user {user!r}, item {item!r}, timestamp {time})"


def joined(piece: pl.DataFrame) -> pl.DataFrame:
    """Return a piece in which the parts of every item's id are one text; it is missing where one of them is.

    Between the parts stands a bar. One within a part follows a backslash, as a backslash does, so that no two items
    become one.
    """
    parts = _parts(piece)
    if not parts:
        return piece
    texts = (pl.col(name).str.strip_chars() for name in parts)
    given = [pl.when(text != "").then(text.str.replace_all(r"([\\|])", r"\$1")) for text in texts]
    return piece.with_columns(pl.concat_str(given, separator=JOINER).alias(ITEM)).drop(parts[1:])


def _parts(piece: pl.DataFrame) -> list[str]:
    """Return the columns that make the id of an item, none where it is one."""
    more = [name for name in map(part, range(2, len(piece.columns))) if name in piece.columns]
    return [ITEM, *more] if more else []


def _empty(column: str, row: int) -> str:
    return f"{column} is empty"


def _without_repeats(table: RawTable, skip_invalid: bool) -> RawTable:
    """Reject rows that repeat an earlier one to the second: a log written twice, not a habit.

    Without times, repeats are kept: buying an item again is an interaction.
    """
    frame = table.frame

    def found(row: int) -> str:
        user, item, time = frame.select(USER, ITEM, TIME).row(row)
        same = (pl.col(USER) == user) & (pl.col(ITEM) == item) & (pl.col(TIME) == time)
        first = frame.select(same.arg_max()).item()
        return found_repeat(table.place(first), user, item, time)

    return table.reject(_repeats(frame.select(USER, ITEM, TIME)), found, ONCE, skip_invalid)


def _repeats(frame: pl.DataFrame) -> pl.Series:
    """Say of every row whether an equal one stands before it; rows are compared only where hashes meet."""
    hashes = frame.hash_rows()
    repeats = pl.repeat(False, len(frame), eager=True)
    if hashes.n_unique() == len(frame):
        return repeats
    alike = hashes.is_duplicated().arg_true()
    first = frame[alike].select(pl.struct(pl.all()).is_first_distinct()).to_series()
    return repeats.scatter(alike.filter(~first), True)
