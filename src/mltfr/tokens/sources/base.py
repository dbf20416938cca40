"""Base class of token sources: they read one table out of files, a few rows at a time, and load no model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.config import ComponentConfig
from mltfr.config.registry import Registry
from mltfr.errors import TokenTableError, shown
from mltfr.storage.foreign import one_line
from mltfr.tokens.vocabulary import TokenStrings

CHUNK_BYTES = 8 << 20
"""Bytes of float32 values held in memory while a table is read."""
MAX_SHAPE = (1 << 22, 1 << 15)
"""Rows and columns above which a matrix is no token table: four times the largest that are known."""
EMPTY = 0.1
"""Share of a table's rows that may have no token: models pad their tables, and leave gaps in their vocabularies."""
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


class TokenSourceConfig(ComponentConfig):
    """Settings that every source has."""

    tensor: str | None = None
    """The table's name in the file; found by the known names if not given."""


@dataclass(frozen=True)
class OpenTable:
    """An opened table, whose values are read when `chunks` is iterated.

    Attributes:
        shape: `(V, W)`.
        dtype: float16 or float32, of the chunks.
        chunks: returns an iterator over consecutive rows, `[rows, W]` at a time.
        strings: the vocabulary, one token for each row.
        provenance: source, file, tensor and type, for the record.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    chunks: Callable[[], Iterator[npt.NDArray[Any]]]
    strings: TokenStrings
    provenance: dict[str, Any] = field(default_factory=dict)

    def trimmed(self) -> OpenTable:
        """Return the table cut to the rows that have a token, and the vocabulary to the tokens that have a row.

        Checkpoints often pad the table to a round number of rows, and some vocabularies list more tokens than the
        table has rows.

        Raises:
            TokenTableError: the sizes are so far apart that the two do not belong together.
        """
        rows, tokens = self.shape[0], len(self.strings.tokens)
        empty = self.strings.tokens.count("")
        if empty > max(1, EMPTY * tokens):
            raise TokenTableError(
                f"{self.provenance.get('file')}: {empty:,} of the vocabulary's {tokens:,} rows have no token: it is "
                "not whole. Pass the right one with --vocabulary."
            )
        if rows == tokens:
            return self
        kept = min(rows, tokens)
        if kept < (1 - EMPTY) * max(rows, tokens):
            raise TokenTableError(
                f"{self.provenance.get('file')}: the table has {rows:,} rows and the vocabulary {tokens:,} "
                "tokens: they do not belong together. Pass the right one with --vocabulary or --tensor."
            )
        special = frozenset(row for row in self.strings.special if row < kept)
        strings = TokenStrings(self.strings.tokens[:kept], special)
        provenance = {**self.provenance, "rows_in_file": rows, "tokens_in_vocabulary": tokens}
        return OpenTable((kept, self.shape[1]), self.dtype, lambda: self._first(kept), strings, provenance)

    def _first(self, rows: int) -> Iterator[npt.NDArray[Any]]:
        for chunk in self.chunks():
            if rows <= 0:
                return
            yield chunk[:rows]
            rows -= len(chunk)

    def read(self) -> npt.NDArray[Any]:
        """Return the whole table `[V, W]`."""
        table = np.empty(self.shape, self.dtype)
        start = 0
        for chunk in self.chunks():
            table[start : start + len(chunk)] = chunk
            start += len(chunk)
        return table


class TokenSource(ABC):
    """Reads a token table out of one kind of file, which it never changes.

    One that fetches calls `mltfr.storage.download.check_online` first.
    """

    @classmethod
    def from_location(cls, location: str, tensor: str | None, vocabulary: Path | None) -> TokenSource | None:
        """Return the source for a location that a user gave, or None if it is of another kind.

        Args:
            location: a path or an address.
            tensor: the table's name in the file, if given.
            vocabulary: a vocabulary file, if given.
        """
        return None

    @abstractmethod
    def open(self) -> AbstractContextManager[OpenTable]:
        """Open the table for reading, until the block ends.

        Raises:
            TokenTableError: the file is damaged, or has no such table.
            FetchError: it cannot be fetched.
        """


TOKEN_SOURCES: Registry[TokenSource, TokenSourceConfig] = Registry("token source", "mltfr.tokens.sources")
register_source = TOKEN_SOURCES.register


def build_source(config: TokenSourceConfig) -> TokenSource:
    """Return the source that a config describes."""
    source: type[Any] = TOKEN_SOURCES.get(config.name).cls
    return source(config)


def source_for(location: str, tensor: str | None = None, vocabulary: Path | None = None) -> TokenSource:
    """Return the source for a file, a folder or a hub repository, recognised by content.

    Raises:
        TokenTableError: nothing known can read it.
    """
    path = Path(location)
    if path.suffix.lower() in PICKLED:
        raise TokenTableError(
            f"{location}: pickled weights run code when they are read, so they are never opened. "
            "Use a .safetensors, .gguf or .npy file of the same model."
        )
    try:
        for entry in TOKEN_SOURCES:
            source = entry.cls.from_location(location, tensor, vocabulary)
            if source is not None:
                return source
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        raise TokenTableError(
            f"{shown(location)}: cannot be read ({one_line(error)}). Name a file, a folder or OWNER/NAME."
        ) from error
    known = "a .safetensors, .gguf or .npy file, a folder with model.safetensors, or a hub id OWNER/NAME"
    if path.is_dir() and any(file.suffix in PICKLED for file in path.iterdir()):
        raise TokenTableError(f"{location}: holds pickled weights, which are never opened. Known: {known}.")
    problem = "not a file that token tables are read from" if path.exists() else "no such file or repository"
    raise TokenTableError(f"{location}: {problem}. Known: {known}.")


def check_shape(shape: Sequence[int], where: str) -> tuple[int, int]:
    """Return `(V, W)`, the shape of a token table.

    Raises:
        TokenTableError: it is none of a matrix, is empty, or too large for one.
    """
    if len(shape) != 2 or 0 in shape:
        raise TokenTableError(f"{where}: is {'x'.join(map(str, shape))}, a token table is a matrix V x W.")
    if shape[0] > MAX_SHAPE[0] or shape[1] > MAX_SHAPE[1]:
        raise TokenTableError(
            f"{where}: is {shape[0]:,} x {shape[1]:,}; a token table has {MAX_SHAPE[0]:,} rows and {MAX_SHAPE[1]:,} "
            "columns at most."
        )
    return shape[0], shape[1]


def rows_per_chunk(width: int) -> int:
    """Return how many rows of `width` values are read at a time."""
    return max(1, CHUNK_BYTES // (4 * width))
