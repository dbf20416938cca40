"""Token tables in `.npy` files, with an optional vocabulary file beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mltfr.errors import TokenTableError
from mltfr.storage.foreign import foreign_file
from mltfr.tokens.sources.base import (
    OpenTable,
    TokenSource,
    TokenSourceConfig,
    check_shape,
    register_source,
    rows_per_chunk,
)
from mltfr.tokens.vocabulary import find_vocabulary, numbered, read_vocabulary_file


class NpyConfig(TokenSourceConfig):
    """A numpy file."""

    name: Literal["npy"] = "npy"
    path: Path
    """The `.npy` file, a float matrix V x W."""
    vocabulary: Path | None = None
    """Vocabulary file; looked for beside the table if not given."""


@register_source("npy", NpyConfig)
class NpySource(TokenSource):
    """A matrix saved by numpy, and a text or JSON file with its tokens."""

    def __init__(self, config: NpyConfig) -> None:
        self.config = config

    @classmethod
    def from_location(cls, location: str, tensor: str | None, vocabulary: Path | None) -> TokenSource | None:
        """Recognise the file's ending."""
        path = Path(location)
        if path.suffix != ".npy" or not path.is_file():
            return None
        if tensor is not None:
            raise TokenTableError(f"{location}: a .npy file holds one array; leave --tensor out.")
        return cls(NpyConfig(path=path, vocabulary=vocabulary))

    @contextmanager
    def open(self) -> Iterator[OpenTable]:
        """Read the header; values are read when the chunks are."""
        path = self.config.path
        array = _mapped(path)
        if array.ndim != 2 or array.dtype.kind != "f" or 0 in array.shape:
            raise TokenTableError(
                f"{path}: holds {array.dtype} {array.shape}, a token table is a float matrix V x W."
            )
        shape = check_shape(array.shape, str(path))
        beside = self.config.vocabulary or find_vocabulary(path.parent, path.stem)
        dtype = np.dtype(np.float16 if array.dtype.itemsize == 2 else np.float32)
        step = rows_per_chunk(array.shape[1])
        yield OpenTable(
            shape=shape,
            dtype=dtype,
            chunks=lambda: (
                np.asarray(array[i : i + step], dtype, order="C") for i in range(0, len(array), step)
            ),
            strings=read_vocabulary_file(beside) if beside else numbered(len(array)),
            provenance={
                "source": "npy",
                "file": path.name,
                "tensor": None,
                "type": str(array.dtype),
                "vocabulary_file": beside.name if beside else None,
            },
        ).trimmed()


def _mapped(path: Path) -> npt.NDArray[Any]:
    """Return a memory map; neither a pickle nor a zip archive of arrays is ever opened as one."""
    with foreign_file(path, TokenTableError, "damaged: not a plain .npy file", "Save it again."):
        array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    return array
