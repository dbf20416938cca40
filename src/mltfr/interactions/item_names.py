"""Names of items, for people: a table of item ids and names, put beside the ids of a result."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import polars as pl

from mltfr.errors import DataError, MltfrWarning
from mltfr.interactions.columns import ITEM_NAMES, Columns, Values, require_once, usual_column
from mltfr.interactions.ids import Strip
from mltfr.interactions.load import read_rows, say
from mltfr.interactions.raw import ITEM, USER, RawTable
from mltfr.interactions.readers import frame
from mltfr.interactions.readers.headerless import HeaderlessError
from mltfr.interactions.sources import recognise
from mltfr.interactions.vocabulary import Vocabulary

NAME = "name"
"""The column of names."""
NAME_NAMES = (
    NAME,
    "title",
    "item_name",
    "item_title",
    "product_name",
    "product_title",
    "prod_name",
    "movie_title",
    "book_title",
    "track_name",
    "song_title",
    "original_title",
    "headline",
    "label",
)
"""The usual names of the column of names, the likeliest first; case and underscores do not matter."""
EXPECTED = "Expected item_id and name, or usual synonyms such as product_id and title"
_FORMATS = ("csv", "tsv", "jsonl", "parquet", "recbole")


@dataclass(frozen=True)
class NameColumns(Columns):
    """Columns of a table of names; a reader takes the item's id for the user and the name for the item."""

    def resolve(self, names: Sequence[str], source: str, values: Values) -> dict[str, str]:
        """Return the columns of id and name; of two columns, one needs a usual name.

        Raises:
            DataError: there are no such columns, or one is there twice.
        """
        item, name = usual_column(names, (*ITEM_NAMES, "id")), usual_column(names, NAME_NAMES)
        if len(names) == 2 and (item is None) != (name is None):
            item, name = item or next(n for n in names if n != name), name or next(n for n in names if n != item)
        if item is None or name is None:
            listed = ", ".join(repr(each[:40]) for each in names[:8])
            raise DataError(f"{source}: no column of item {'ids' if item is None else 'names'} among {listed}. "
                            f"{EXPECTED}; rename the columns.")  # fmt: skip
        require_once((item, name), names, source)
        return {USER: item, ITEM: name}

    def are_usual(self, names: Sequence[str]) -> bool:
        """Say whether `names` looks like a header of such a table."""
        return any(usual_column(names, usual) for usual in ((*ITEM_NAMES, "id"), NAME_NAMES))


@dataclass(frozen=True, eq=False)
class ItemNames:
    """Names of items.

    Attributes:
        table: `item_id` and `name` (both String), every item once.
        source: where they came from, for people.
    """

    table: pl.DataFrame
    source: str

    def beside(self, table: pl.DataFrame, column: str = ITEM, name: str = NAME) -> pl.DataFrame:
        """Return a table with a column of names behind a column of item ids; null where an item has none."""
        place = table.columns.index(column) + 1
        names = self.table.select(pl.col(ITEM).alias(column), pl.col(NAME).alias(name))
        named = table.join(names, on=column, how="left", maintain_order="left")
        return named.select(*table.columns[:place], name, *table.columns[place:])

    def missing(self, vocabulary: Vocabulary) -> str | None:
        """Return what is to be said of the items that training knows and that have no name, None if all have one.

        Raises:
            DataError: none has a name.
        """
        ids = vocabulary.ids.to_frame().join(self.table, on=ITEM, how="anti", maintain_order="left")[ITEM]
        first = ", ".join(ids.head(3)) + (", ..." if len(ids) > 3 else "")
        if len(ids) == len(vocabulary):
            known = f"the run has {first}, and the table {', '.join(self.table[ITEM].head(3))}"
            raise DataError(f"{self.source}: none of its {len(self.table):,} ids is an item of the run ({known}). "
                            "Give the table of these items, with their ids as the log writes them.")  # fmt: skip
        counts = f"{len(ids):,} of {len(vocabulary):,} ({first})"
        return f"{self.source}: items without a name: {counts}." if len(ids) else None

    def digest(self) -> str:
        """Return a checksum of the names."""
        return hashlib.sha256(self.table.write_csv().encode()).hexdigest()


def item_names(source: Any) -> ItemNames:
    """Read the names of items; what was left out of them is said by `MltfrWarning`s.

    Args:
        source: a CSV, TSV, Parquet or JSON Lines file; a polars, pandas or Arrow table; names by item id; or what
            this function returned. Tables have a column of item ids and one of names.

    Raises:
        DataError: it is something else, or holds no name.
    """
    if isinstance(source, ItemNames):
        return source
    table = read_item_table(source, NameColumns(), EXPECTED)
    return ItemNames(first_names(table, table.frame[ITEM], EXPECTED), table.name)


def first_names(table: RawTable, names: pl.Series, expected: str) -> pl.DataFrame:
    """Return `item_id` and `name` of every item that has one, the first of several; what is left out is said.

    Args:
        table: ids of items, in the users' column.
        names: the name in every row; null or blank for none.
        expected: what the table should hold, for the message.

    Raises:
        DataError: it holds no name.
    """
    ids, strip = table.frame[USER], Strip("item ids")
    blank, names = strip.look(ids), names.str.strip_chars()
    usable = ~blank & (names != "").fill_null(False)
    named = pl.DataFrame({ITEM: strip.strip(ids.filter(usable)), NAME: names.filter(usable)})
    named = named.unique(maintain_order=True)
    if named.is_empty():
        raise DataError(f"{table.name}: no item has a name. {expected}, and one row an item.")
    first = named.unique(ITEM, keep="first", maintain_order=True)
    notes = [*table.notes, *strip.notes]
    if table.skipped:
        why = table.first_skipped.replace(f": {USER} is", f": {ITEM} is")  # the users' column has the ids of items here
        why = f"; the first, {why}" if why else " (a comma in a name needs quotes)."
        notes.append(f"rows that cannot be read were left out: {table.skipped:,}{why}")
    if left_out := int(blank.sum()):
        notes.append(f"rows that name no item were left out: {left_out:,}.")
    if several := len(named) - len(first):
        notes.append(f"of several names of an item the first is taken; others: {several:,}.")
    say(table.name, notes)
    return first


def named(table: pl.DataFrame, names: Any, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return a table with names behind its item ids, and warn of items that have none.

    Args:
        table: with the column `item_id`, and perhaps `similar_to`.
        names: as `item_names` takes them; None for none.
        vocabulary: the items that training knows.

    Raises:
        DataError: these are no names, or no item has one.
    """
    if names is None:
        return table
    names = item_names(names)
    if (nameless := names.missing(vocabulary)) is not None:
        warnings.warn(nameless, MltfrWarning, stacklevel=3)
    table = names.beside(table)
    return names.beside(table, "similar_to", "similar_to_name") if "similar_to" in table.columns else table


def read_item_table(source: Any, columns: Columns, expected: str) -> RawTable:
    """Read the rows of a file or a table about items; the users' column of what is returned has the items' ids.

    Args:
        source: a file, a table, or texts by item id.
        columns: what is read of it.
        expected: what it should hold, for messages.

    Raises:
        DataError: it is no table, or lacks a column.
    """
    if isinstance(source, str | PathLike):
        path = Path(source)
        try:
            name = recognise([path], None, columns).format
        except HeaderlessError as error:
            remedy = f"{expected}: put a first line before it that names them."
            raise HeaderlessError(path, error.first, remedy) from error
        if name not in _FORMATS or path.is_dir():
            raise DataError(f"{path}: no table of names. {expected}, in a CSV, Parquet or JSON Lines file.")
        return read_rows(path, name, columns, skip_invalid=True)
    if isinstance(source, Mapping) and not any(_is_column(values) for values in source.values()):
        source = {ITEM: list(source), NAME: list(source.values())}
    if not (isinstance(source, Mapping) or frame.is_table(source)):
        raise DataError(f"names is a {type(source).__name__}. {expected}: a file, a table, or names by item id.")
    return frame.read(source, columns, True, "names")


def _is_column(values: object) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str | bytes)
