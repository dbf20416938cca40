"""Where samples lie in the flat histories, computed when asked for: a prefix needs no numbers of its own in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


class Numbers(Protocol):
    """As many integers as there are samples, an array or something that makes them."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, indices: npt.NDArray[np.integer]) -> Indices:
        """Return some of them, int64, of the shape of `indices`."""


@dataclass(frozen=True)
class Differences:
    """The elements of one minus those of another."""

    larger: Numbers
    smaller: Numbers

    def __len__(self) -> int:
        return len(self.larger)

    def __getitem__(self, indices: npt.NDArray[np.integer]) -> Indices:
        return self.larger[indices] - self.smaller[indices]


class Prefixes:
    """All prefixes of all histories, in the order of the places of their next items.

    A history of n items has n - 1 prefixes. Which history the sample belongs to is found by bisection, so that only
    eight bytes a history are kept.

    Args:
        offsets: int64 `[U + 1]`, where histories begin.
        max_length: items that are read at most, the last ones.
    """

    def __init__(self, offsets: Indices, max_length: int) -> None:
        self.offsets = offsets
        self.max_length = max_length
        self.ends = np.cumsum(np.maximum(np.diff(offsets) - 1, 0))       # [U], samples up to a history's last

    @property
    def start(self) -> Numbers:
        """Place of the first item that each sample reads."""
        return _Of(self, "start")

    @property
    def stop(self) -> Numbers:
        """Place of each sample's target, behind the last item that it reads."""
        return _Of(self, "stop")

    def places(self, indices: npt.NDArray[np.integer]) -> tuple[Indices, Indices]:
        """Return start and stop of some samples."""
        samples = np.asarray(indices, np.int64)
        user = np.searchsorted(self.ends, samples, "right")
        first = self.offsets[user]
        from_end = self.ends[user] - samples                             # 1 for a history's longest prefix
        stop = self.offsets[user + 1] - from_end
        return np.maximum(first, stop - self.max_length), stop


@dataclass(frozen=True)
class _Of:
    prefixes: Prefixes
    which: str

    def __len__(self) -> int:
        return int(self.prefixes.ends[-1]) if len(self.prefixes.ends) else 0

    def __getitem__(self, indices: npt.NDArray[np.integer]) -> Indices:
        start, stop = self.prefixes.places(indices)
        return start if self.which == "start" else stop
