"""The log as it is handed to every adapter: item codes, split leave-one-out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Codes:
    """Codes 1..known are items of the training part; higher ones occur only in held-out places.

    Attributes:
        offsets: `[U + 1]`; user u owns `items[offsets[u]:offsets[u + 1]]`, oldest first.
        items: `[T]`.
        train_length: `[U]`; two fewer than the user's interactions, or all of them where nothing is held out.
        known: number of items of the training part.
    """

    offsets: np.ndarray
    items: np.ndarray
    train_length: np.ndarray
    known: int

    @classmethod
    def read(cls, path: str) -> Codes:
        """Read the file."""
        with np.load(path) as file:
            return cls(file["offsets"], file["items"], file["train_length"], int(file["known"]))

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.train_length)

    @property
    def catalogue(self) -> int:
        """The highest code."""
        return int(self.items.max())

    def train(self, user: int) -> np.ndarray:
        """Return the training part of one user."""
        start = self.offsets[user]
        return self.items[start : start + self.train_length[user]]

    def history(self, user: int) -> np.ndarray:
        """Return all of a user's interactions but the test item."""
        return self.items[self.offsets[user] : self.offsets[user + 1] - int(self.is_tested(user))]

    def target(self, user: int) -> int:
        """Return the test item."""
        return int(self.items[self.offsets[user + 1] - 1])

    def is_tested(self, user: int) -> bool:
        """Return whether two items of the user are held out."""
        return bool(self.offsets[user + 1] - self.offsets[user] == self.train_length[user] + 2)
