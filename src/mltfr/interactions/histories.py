"""Histories as two flat arrays: offsets and item codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

PADDING = 0
"""Code of an empty position; never an item."""
UNKNOWN = -1
"""Code of an item that training has not seen; it is never fed to a model, and as a target it is a miss."""


@dataclass(frozen=True)
class Histories:
    """Item codes of many users, oldest first, one after the other.

    Attributes:
        offsets: int64 `[U + 1]`; user `u` owns `items[offsets[u]:offsets[u + 1]]`.
        items: int32 `[T]`; codes 1..I, or `UNKNOWN`.
    """

    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]

    @classmethod
    def from_sequences(cls, sequences: Sequence[Sequence[int]]) -> Self:
        """Build from one sequence of codes per user."""
        lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        flat = np.fromiter((i for s in sequences for i in s), dtype=np.int32, count=int(offsets[-1]))
        return cls(offsets, flat)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"Histories({len(self):,} users, {len(self.items):,} interactions)"

    def __getitem__(self, user: int) -> npt.NDArray[np.int32]:
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def __iter__(self) -> Iterator[npt.NDArray[np.int32]]:
        return (self[user] for user in range(len(self)))

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of interactions of every user, int64 `[U]`."""
        return np.diff(self.offsets)

    def known(self) -> Histories:
        """Return the histories without the interactions with items that training has not seen."""
        there = self.items != UNKNOWN
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(there)])          # [T + 1]
        return Histories(before[self.offsets], self.items[there])

    def prefixes(self, lengths: npt.NDArray[np.int64]) -> Histories:
        """Return the first `lengths[u]` interactions of every user, int64 `[U]`, none more than there are."""
        kept = np.arange(len(self.items)) < np.repeat(self.offsets[:-1] + lengths, self.lengths)
        return Histories(np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]), self.items[kept])
