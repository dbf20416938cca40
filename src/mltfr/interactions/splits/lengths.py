"""How each user's history is cut into training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mltfr.errors import DataError
from mltfr.interactions.log import Ints
from mltfr.interactions.split import Examples


@dataclass(frozen=True)
class SplitLengths:
    """The lengths of every user's three stretches: first training, then validation, then test.

    Attributes:
        train: int64 `[U]`.
        validation: int64 `[U]`.
        test: int64 `[U]`.
        left_out: users missing from a split, by reason.
    """

    train: Ints
    validation: Ints
    test: Ints
    left_out: Mapping[str, int]

    def require(self, method: str) -> None:
        """Raise DataError where there is no training or no test split."""
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in self.left_out.items() if count)
        if not self.test.any():
            raise DataError(
                f"The {method} split has no test example among {len(self.test):,} users ({reasons}). "
                "It needs a user with interactions before the test and in it; use more data or another split."
            )
        if not self.train.any():
            raise DataError(f"The {method} split has no training part ({reasons}). Use more data or another split.")

    def examples(self, name: Literal["validation", "test"], start: int = 0, stop: int | None = None) -> Examples:
        """Return every held-out interaction of the users `start` to `stop - 1` as an example with all before it."""
        users = slice(start, stop)
        length = getattr(self, name)[users]                              # [U]
        first = self.train[users] + (self.validation[users] if name == "test" else 0)
        user = np.repeat(np.arange(len(length)), length)                 # [E]
        within = np.arange(len(user)) - np.repeat(np.cumsum(length) - length, length)
        return Examples(user + start, first[user] + within)
