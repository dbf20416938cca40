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

    def add(self, hashes: pl.DataFrame) -> None:
        """Count the rows of a piece, of which `hashes_of` returned the hashes."""
        self.rows += len(hashes)
        for name, distinct in self._ids.items():
            distinct.add(hashes[name])

    def step(self, name: str) -> FilterStep:
        """Return the counts under a name."""
        return FilterStep(name, self.rows, self._ids[USER].count(), self._ids[ITEM].count())


def hashes_of(piece: pl.DataFrame) -> pl.DataFrame:
    """Return hashes of the ids of users and items that were not checked yet; null where an id is missing."""
    texts = (pl.col(name).str.strip_chars() for name in (USER, ITEM))
    return joined(piece).select(pl.when(text != "").then(text.hash()) for text in texts)


class _Distinct:
    def __init__(self) -> None:
        self.known = pl.Series(dtype=pl.UInt64)
        self.buffer: list[pl.Series] = []
        self.size = 0

    def add(self, hashes: pl.Series) -> None:
        self.buffer.append(hashes.unique())
        self.size += len(self.buffer[-1])
        if self.size > max(BUFFERED, len(self.known)):  # so that nothing is looked through often
            self.count()

    def count(self) -> int:
        if self.buffer:
            self.known = pl.concat([self.known, *self.buffer]).drop_nulls().unique()
            self.buffer, self.size = [], 0
        return len(self.known)
