"""Histories as Parquet: a file, or a folder of files, with the columns `user_id` and `items`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mltfr.batch.users import Users, duplicate_hashes, first_duplicate
from mltfr.errors import DataError
from mltfr.interactions.ids import id_texts
from mltfr.storage.files import sha256
from mltfr.storage.foreign import foreign_parquet

SLICE = 1 << 18
"""Ids looked at together."""


class ParquetUsers(Users):
    """Users of Parquet files, none of whom needs to be known; the files of a folder in the order of their names.

    Args:
        path: a file, or a folder of files that end in `.parquet`.

    Raises:
        DataError: there is no such file, a column is missing or of another type, or a user is empty or comes twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not self.files:
            raise DataError(f"{path}: the folder has no .parquet file. Give files with the columns user_id and items.")
        counts = []
        for file in self.files:
            _check_columns(file)
            with foreign_parquet(file):
                counts.append(int(pl.scan_parquet(file).select(pl.len()).collect().item()))
        self._ends = np.cumsum(counts)                                   # [F]
        if not len(self):
            raise DataError(f"{path}: empty. Give one row a user.")
        hashes = np.fromiter((hash(user) for user in self._ids()), np.int64, len(self))
        if (twice := duplicate_hashes(hashes)) and (found := first_duplicate(self._ids(), twice)) is not None:
            row, user = found
            raise DataError(f"{self._where(row)}: user '{user}' comes a second time. Give every user one row.")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Return `user_id` and `items` of some users, with the white space that may stand around ids.

        Raises:
            DataError: a history, or an item in one, is empty.
        """
        pieces = list(self._pieces(start, stop, ["user_id", "items"]))
        users = pl.concat(pieces) if len(pieces) > 1 else pieces[0]
        lists = users["items"]
        for bad, found in ((lists.is_null(), "items is empty"), (_lacks_an_item(lists), "an item is empty")):
            if bad.any():
                raise DataError(f"{self._where(start + int(bad.arg_max() or 0))}: {found}. Give a list of item ids.")
        return users

    def fingerprint(self) -> str:
        """Return a checksum of the files, in their order; their names do not matter."""
        return hashlib.sha256("\n".join(map(sha256, self.files)).encode()).hexdigest()

    def _ids(self) -> Iterator[str]:
        row = 0
        for start in range(0, len(self), SLICE):
            for piece in self._pieces(start, min(start + SLICE, len(self)), ["user_id"]):
                for user in piece["user_id"].str.strip_chars():
                    if not user:
                        raise DataError(f"{self._where(row)}: user_id is empty. Every row needs user_id and items.")
                    yield user
                    row += 1

    def _pieces(self, start: int, stop: int, columns: list[str]) -> Iterator[pl.DataFrame]:
        """Yield rows of the files that hold the users `start` to `stop - 1`, as texts."""
        begins = self._ends - np.diff(self._ends, prepend=0)
        for file, begin, end in zip(self.files, begins.tolist(), self._ends.tolist(), strict=True):
            first, last = max(start, begin), min(stop, end)
            if first < last:
                with foreign_parquet(file):
                    rows = pl.scan_parquet(file).select(columns).slice(first - begin, last - first).collect()
                yield pl.DataFrame([_texts(rows[name], f"{file}: column {name}") for name in columns])

    def _where(self, row: int) -> str:
        number = int(np.searchsorted(self._ends, row, "right"))
        return f"{self.files[number]}, row {row - (int(self._ends[number - 1]) if number else 0)} (the first is 0)"


def _texts(ids: pl.Series, what: str) -> pl.Series:
    """Return a column of ids, or of lists of them, as texts."""
    if not isinstance(ids.dtype, pl.List | pl.Array):
        return id_texts(ids, what)
    inner: Any = ids.dtype.inner
    lists = ids.cast(pl.List(inner))
    id_texts(lists.explode(empty_as_null=False), what)  # refuses what is no id
    if inner.is_float():
        lists = lists.list.eval(pl.element().fill_nan(None).cast(pl.Int64))
    elif isinstance(inner, pl.Decimal):
        lists = lists.cast(pl.List(pl.Int128))
    return lists.cast(pl.List(pl.String))


def _lacks_an_item(lists: pl.Series) -> pl.Series:
    empty = pl.element().is_null() | (pl.element().str.strip_chars() == "")
    return lists.to_frame().select(pl.col("items").list.eval(empty).list.any().fill_null(False)).to_series()


def _check_columns(file: Path) -> None:
    """Refuse a file without the two columns, or with others' types in them."""
    with foreign_parquet(file):
        schema = pl.read_parquet_schema(file)
    kinds = {"user_id": schema.get("user_id"), "items": getattr(schema.get("items"), "inner", None)}
    for name, kind in kinds.items():
        if kind is None or not (kind.is_numeric() or kind in (pl.String, pl.Categorical, pl.Enum)):
            found = f"has {schema[name]}" if name in schema else "is missing"
            raise DataError(
                f"{file}: column {name} {found}. Expected user_id (texts or whole numbers) and items (a list of them, "
                "oldest first), or a log of events with a user's and an item's column."
            )
