"""Room in main memory for what a reader holds of a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from mltfr.errors import DataError
from mltfr.storage.main_memory import available_memory, readable, used_memory

STEP = 1 << 24
"""Bytes of content between two looks at the memory."""
_PIECES = (
    "`mltfr data prepare FILE --out FOLDER` reads CSV, TSV, RecBole and Parquet files in pieces, within --memory; "
    "write other formats as one of these."
)


@contextmanager
def enough_memory(path: Path) -> Iterator[None]:
    """Turn a lack of memory while a file is read into one line."""
    try:
        yield
    except (MemoryError, pl.exceptions.PanicException) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        raise DataError(f"{path}: the memory does not suffice to read it. {_PIECES}") from error


class Room:
    """Refuses a file of which a reader could not hold all: packed files do not say how large they are.

    Args:
        path: the file.
        times: how many times what is held is needed again until there is a log, about.
    """

    def __init__(self, path: Path, times: float = 2.0) -> None:
        self._path, self._times, self._start = path, times, used_memory()
        self._read = self._looked = 0

    def take(self, size: int) -> None:
        """Count bytes of content that were read.

        Raises:
            DataError: what is held takes so much that the rest of the work would not fit.
        """
        self._read += size
        if self._read - self._looked < STEP:
            return
        self._looked = self._read
        held, available = used_memory() - self._start, available_memory()
        needed = self._times * (held if held > 0 else self._read)
        if available is not None and needed > available:
            raise DataError(
                f"{self._path}: too large for the memory: after {readable(self._read)} of its content another "
                f"{readable(needed)} are needed, and {readable(available)} are available. {_PIECES}"
            )
