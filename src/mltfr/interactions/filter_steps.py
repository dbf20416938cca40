"""What each filter left of a log: interactions, users and items."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from mltfr.interactions.checks import joined
from mltfr.interactions.raw import ITEM, USER

BUFFERED = 1 << 20
"""Hashes that are gathered before they are looked through for new ones."""


@dataclass(frozen=True)
class FilterStep:
    """What one filter left: interactions, users and items after it; "before" are those before the first filter."""

    name: str
    interactions: int
    users: int
    items: int


class Tally:
    """Counts the interactions, users and items of a table that is read piece by piece, by hashes of 8 bytes an id."""

    def __init__(self) -> None:
        self.rows = 0
        self._ids = {USER: _Distinct(), ITEM: _Distinct()}

    def add(self, ids: pl.DataFrame) -> None:
        """Count the rows of a piece, of which `ids_of` returned the ids."""
        self.rows += len(ids)
        for name, distinct in self._ids.items():
            distinct.add(ids[name])

    def step(self, name: str) -> FilterStep:
        """Return the counts under a name."""
        return FilterStep(name, self.rows, self._ids[USER].count(), self._ids[ITEM].count())


def ids_of(piece: pl.DataFrame) -> pl.DataFrame:
    """Return the ids of users and items of rows that were not checked yet."""
    return joined(piece).select(USER, ITEM)


class _Distinct:
    def __init__(self) -> None:
        self.known = pl.Series(dtype=pl.UInt64)
        self.buffer: list[pl.Series] = []
        self.size = 0

    def add(self, ids: pl.Series) -> None:
        texts = ids.gather(ids.hash().arg_unique()).str.strip_chars()  # few are left to be stripped
        self.buffer.append(texts.filter(texts != "").hash())
        self.size += len(self.buffer[-1])
        if self.size > max(BUFFERED, len(self.known)):  # so that nothing is looked through often
            self.count()

    def count(self) -> int:
        if self.buffer:
            self.known = pl.concat([self.known, *self.buffer]).unique()
            self.buffer, self.size = [], 0
        return len(self.known)
