"""Numbered interactions on disk, one record after the other, so that only some are in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.void]
"""Structured `[R]`: `user` and `item` (int32), `row` in the source (int64) and, where there is one, `time`."""
MOST_BUCKETS = 256
"""Files that are written side by side."""
RECORD_MEMORY = 80
"""Bytes that a record takes while a bucket of them is sorted."""


def record_type(time: npt.DTypeLike | None) -> np.dtype[np.void]:
    """Return the type of a record; `time` is the times' type, None where there is none."""
    fields: list[Any] = [("user", "<i4"), ("item", "<i4"), ("row", "<i8")]
    return np.dtype(fields if time is None else [*fields, ("time", np.dtype(time))])


@dataclass(frozen=True)
class RowFile:
    """Records in a file, in an order."""

    path: Path
    dtype: np.dtype[np.void]

    def __len__(self) -> int:
        return self.path.stat().st_size // self.dtype.itemsize

    def read(self, start: int = 0, stop: int | None = None) -> Records:
        """Return the records `start` to `stop - 1`; all if not given."""
        stop = len(self) if stop is None else min(stop, len(self))
        return np.fromfile(self.path, self.dtype, max(0, stop - start), offset=start * self.dtype.itemsize)

    def chunks(self, size: int) -> Iterator[tuple[int, Records]]:
        """Yield all records, `size` at a time, each with the place of its first."""
        for start in range(0, len(self), size):
            yield start, self.read(start, start + size)

    def rewritten(self, path: Path, size: int, change: Callable[[int, Records], Records]) -> RowFile:
        """Write what `change` makes of the records, given the place of the first, to another file; drop this one."""
        with path.open("wb") as file:
            for start, records in self.chunks(size):
                change(start, records).tofile(file)
        self.path.unlink()
        return RowFile(path, self.dtype)

    def kept(self, path: Path, size: int, keep: Callable[[Records], npt.NDArray[np.bool_]]) -> RowFile:
        """Write the records that `keep` chooses to another file, and drop this one."""
        return self.rewritten(path, size, lambda _, records: records[keep(records)])

    def buckets(
        self, folder: Path, count: int, size: int, bucket_of: Callable[[Records], npt.NDArray[np.int64]]
    ) -> list[RowFile]:
        """Deal the records into files by number, each keeping the order, and drop this file.

        Args:
            folder: where the files go.
            count: how many there are.
            size: records in memory at a time.
            bucket_of: returns the number of every record, 0 to `count - 1`.
        """
        files = [RowFile(folder / f"{self.path.stem}-{number:03d}.rows", self.dtype) for number in range(count)]
        with ExitStack() as stack:
            opened = [stack.enter_context(file.path.open("wb")) for file in files]
            for _, records in self.chunks(size):
                numbers = bucket_of(records)
                order = np.argsort(numbers, kind="stable")
                records, numbers = records[order], numbers[order]
                edges = np.searchsorted(numbers, np.arange(count + 1))
                for number in np.unique(numbers).tolist():
                    records[edges[number] : edges[number + 1]].tofile(opened[number])
        self.path.unlink()
        return files


def bucket_count(rows: int, memory: int) -> int:
    """Return into how many buckets records are dealt so that one of them can be sorted within `memory` bytes."""
    return min(MOST_BUCKETS, max(1, -(-rows * RECORD_MEMORY // memory)))
