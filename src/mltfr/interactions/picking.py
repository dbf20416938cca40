"""Picks the rows of a table that meet a condition over its own columns, piece by piece, and counts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import polars as pl

from mltfr.errors import DataError, shown
from mltfr.interactions.columns import further
from mltfr.interactions.filter_steps import FilterStep, Tally, ids_of
from mltfr.interactions.raw import ROW, RawTable, Rejected
from mltfr.interactions.where import CORRECT, Comparison, Where

SHOWN = 5
"""Values that a message shows."""


@dataclass(frozen=True)
class Picked:
    """What a condition on the rows left.

    Attributes:
        where: the condition, as it was given.
        before: rows that were read, with their users and items.
        after: those that meet it.
    """

    where: str
    before: FilterStep
    after: FilterStep


class Picker:
    """Picks rows over all pieces of a table. When all have gone through `pick`, `require` raises if none was picked.

    Args:
        where: the condition.
        name: the file, for messages.
        counts: counts the rows that are read, and those that are picked; shared where a log has several tables.
    """

    def __init__(self, where: Where, name: str, counts: tuple[Tally, Tally] | None = None) -> None:
        self.where, self.name = where, name
        self.rows = self.kept = 0
        self.counts = counts or (Tally(), Tally())
        self._examples: dict[str, list[str]] = {}      # what the columns hold, by name
        self._odd: dict[str, Rejected] = {}            # values that are no numbers, where numbers are asked for

    @property
    def picked(self) -> Picked:
        """The counts of all tables so far."""
        before, after = self.counts
        return Picked(self.where.text, before.step("before"), after.step("where"))

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know, a sentence each."""
        odd = (f"{odd.count:,} values of column '{name}' are no numbers, as {odd.found}, and stand in no order to one."
               for name, odd in self._odd.items())  # fmt: skip
        counts = f"{self.kept:,} of {self.rows:,} rows meet the condition {self.where.text!r}; the others are left out."
        return (counts, *odd)

    def pick(self, piece: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of a piece that meet the condition, with their numbers, without the further columns.

        Args:
            piece: some rows, with the column `row` unless they are the whole table; and the columns of the condition,
                called as `further` says.

        Raises:
            DataError: the table has no such columns, or a text is compared with numbers.
        """
        names = self.where.columns
        if missing := [name for name in names if further(name) not in piece.columns]:
            raise DataError(f"{self.name}: no column '{missing[0]}': the format has none with names. {CORRECT}")
        piece = piece if ROW in piece.columns else piece.with_row_index(ROW)
        values = {name: _comparable(piece[further(name)], self._column(name)) for name in names}
        for comparison in self.where.comparisons:
            self._look(comparison, values[comparison.column])
        columns = {name: (pl.col(name), column.dtype) for name, column in values.items()}
        met = pl.DataFrame(values).select(self.where.expression(columns)).to_series()
        ids = ids_of(piece)
        for tally, counted in zip(self.counts, (ids, ids.filter(met)), strict=True):
            tally.add(counted)
        self.rows += len(piece)
        self.kept += int(met.sum())
        return piece.filter(met).drop(map(further, names))

    def pieces(self, pieces: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield what is picked of all pieces, without empty ones.

        Raises:
            DataError: nothing is picked, or see `pick`.
        """
        yield from (piece for piece in map(self.pick, pieces) if len(piece))
        self.require()

    def require(self) -> None:
        """Raise DataError where there were rows, and none was picked."""
        if self.kept or not self.rows:
            return
        held = "; ".join(f"'{name}': {', '.join(texts) or 'nothing'}" for name, texts in self._examples.items())
        raise DataError(
            f"{self.name}: none of {self.rows:,} rows meets the condition {self.where.text!r}. What the columns hold, "
            f"for example, is {held}. {CORRECT}"
        )

    def _column(self, name: str) -> str:
        return f"{self.name}: column '{name}'"

    def _look(self, comparison: Comparison, values: pl.Series) -> None:
        """Take into account what a column holds; refuse to put texts in an order to numbers."""
        name, text = comparison.column, comparison.first_text
        if not self._examples.get(name):
            known = values.drop_nulls().unique(maintain_order=True)[:SHOWN]
            self._examples[name] = [shown(value, 40) for value in known]
        if values.dtype != pl.String:
            if text is not None:
                raise self._holds_numbers(name, text)
            return
        given = values.str.strip_chars()
        given = given.filter((given != "").fill_null(False)) if comparison.is_order else given.clear()
        odd = given.filter(given.cast(pl.Float64, strict=False).is_null())
        if text is not None and len(given) and not len(odd):
            raise self._holds_numbers(name, text)
        if text is None and len(odd):
            seen = self._odd.setdefault(name, Rejected("", found=shown(odd[0], 40)))
            seen.count += len(odd)

    def _holds_numbers(self, name: str, text: str) -> DataError:
        return DataError(
            f"{self._column(name)} holds numbers, and the condition compares it with the text {shown(text, 40)}. Write "
            "a number without quotes; for times there are filters.since and filters.until."
        )


def picked(
    table: RawTable, where: Where | None, counts: tuple[Tally, Tally] | None = None
) -> tuple[RawTable, Picked | None]:
    """Return the rows of a whole table that meet a condition, and how many these are; all rows where there is none.

    Args:
        table: the table.
        where: the condition.
        counts: see `Picker`.

    Raises:
        DataError: there is none, the table has no such columns, or a text is compared with numbers.
    """
    if where is None:
        return table, None
    picker = Picker(where, table.name, counts)
    frame = picker.pick(table.frame)
    picker.require()
    return replace(table, frame=frame, notes=table.notes + picker.notes), picker.picked


def _comparable(values: pl.Series, what: str) -> pl.Series:
    """Return a column as numbers or texts."""
    kind = values.dtype
    if kind.is_numeric() or kind == pl.String:
        return values
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        raise DataError(f"{what} has type {kind}. A condition compares texts and numbers.")
    return values.cast(pl.String)
