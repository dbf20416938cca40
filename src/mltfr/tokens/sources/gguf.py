"""Token tables in GGUF files, quantised or not; the vocabulary is in the header."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mltfr.errors import TokenTableError
from mltfr.tokens.sources.base import (
    OpenTable,
    TokenSource,
    TokenSourceConfig,
    check_shape,
    register_source,
    rows_per_chunk,
)
from mltfr.tokens.sources.gguf_header import GGUFHeader, TensorEntry, read_gguf_header
from mltfr.tokens.sources.tensor_names import choose_tensor
from mltfr.tokens.vocabulary import TokenStrings, find_vocabulary, numbered, read_vocabulary_file

_CONTROL_TYPES = (2, 3, 5)
"""Values of `tokenizer.ggml.token_type` for unknown, control and unused tokens."""


class GGUFConfig(TokenSourceConfig):
    """A GGUF file."""

    name: Literal["gguf"] = "gguf"
    path: Path
    """The `.gguf` file."""
    vocabulary: Path | None = None
    """Vocabulary file; the header's if not given."""


@register_source("gguf", GGUFConfig)
class GGUFSource(TokenSource):
    """A GGUF file; quantised tables are dequantised a few rows at a time."""

    def __init__(self, config: GGUFConfig) -> None:
        self.config = config

    @classmethod
    def from_location(cls, location: str, tensor: str | None, vocabulary: Path | None) -> TokenSource | None:
        """Recognise the file's first bytes, or its ending."""
        path = Path(location)
        if path.is_file() and (path.suffix == ".gguf" or _begins_with(path, b"GGUF")):
            return cls(GGUFConfig(path=path, tensor=tensor, vocabulary=vocabulary))
        return None

    @contextmanager
    def open(self) -> Iterator[OpenTable]:
        """Read the header; values are read and dequantised when the chunks are."""
        path = self.config.path
        header = read_gguf_header(path)
        shapes = {name: entry.shape for name, entry in header.tensors.items()}
        name = choose_tensor(shapes, self.config.tensor, str(path))
        entry = header.tensors[name]
        rows, width = check_shape(entry.shape, f"{path}: tensor '{name}'")
        kind, row_bytes = _row_bytes(path, entry)
        if entry.start + rows * row_bytes > path.stat().st_size:
            raise TokenTableError(f"{path}: damaged: tensor '{name}' is cut off. Fetch it again.")
        yield OpenTable(
            shape=(rows, width),
            dtype=np.dtype(np.float32 if kind in ("F32", "F64") else np.float16),
            chunks=lambda: _chunks(path, entry, row_bytes),
            strings=self._strings(header, rows),
            provenance={
                "source": "gguf",
                "file": path.name,
                "tensor": name,
                "type": kind,
                "model": str(header.metadata.get("general.name", "")),
                "licence_in_file": str(header.metadata.get("general.license", "")),
                "vocabulary_file": self.config.vocabulary.name if self.config.vocabulary else path.name,
            },
        ).trimmed()

    def _strings(self, header: GGUFHeader, rows: int) -> TokenStrings:
        if self.config.vocabulary is not None:
            return read_vocabulary_file(self.config.vocabulary)
        tokens = header.metadata.get("tokenizer.ggml.tokens")
        if tokens is None:
            beside = find_vocabulary(self.config.path.parent, self.config.path.stem)
            return read_vocabulary_file(beside) if beside else numbered(rows)
        if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
            raise TokenTableError(
                f"{self.config.path}: damaged: its tokens are no list of texts. Fetch it again, or pass --vocabulary."
            )
        kinds = header.metadata.get("tokenizer.ggml.token_type")
        if kinds is not None and (not isinstance(kinds, np.ndarray) or kinds.shape != (len(tokens),)):
            raise TokenTableError(
                f"{self.config.path}: damaged: the types of its tokens are no list of {len(tokens):,} numbers. "
                "Fetch it again, or pass --vocabulary."
            )
        special = () if kinds is None else np.flatnonzero(np.isin(kinds, _CONTROL_TYPES)).tolist()
        return TokenStrings(tuple(tokens), frozenset(special))


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _row_bytes(path: Path, entry: TensorEntry) -> tuple[str, int]:
    """Return the type's name and the bytes of one row."""
    import gguf

    try:
        kind = gguf.GGMLQuantizationType(entry.kind)
        block, size = gguf.GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError) as error:
        raise TokenTableError(
            f"{path}: the table is of an unknown type (number {entry.kind}). Take another quantisation."
        ) from error
    if entry.shape[1] % block:
        raise TokenTableError(f"{path}: damaged: {entry.shape[1]} columns are no whole {kind.name} blocks.")
    return kind.name, entry.shape[1] // block * size


def _chunks(path: Path, entry: TensorEntry, row_bytes: int) -> Iterator[npt.NDArray[Any]]:
    import gguf

    rows, width = entry.shape
    kind = gguf.GGMLQuantizationType(entry.kind)
    step = rows_per_chunk(width)
    with path.open("rb") as file:
        file.seek(entry.start)
        for first in range(0, rows, step):
            count = min(step, rows - first) * row_bytes
            data = np.fromfile(file, np.uint8, count)
            if len(data) != count:
                raise TokenTableError(f"{path}: damaged: it ends within the table. Fetch it again.")
            yield _dequantise(path, data, kind).reshape(-1, width)


def _dequantise(path: Path, data: npt.NDArray[np.uint8], kind: Any) -> npt.NDArray[Any]:
    import gguf

    if kind.name in ("F16", "F32"):
        return data.view("<f2" if kind.name == "F16" else "<f4")
    if kind.name == "F64":
        return data.view("<f8").astype(np.float32)
    try:
        # One row: gguf dequantises in groups of rows, and blocks do not care where a row ends.
        values = gguf.dequantize(data.reshape(1, -1), kind)
    except NotImplementedError as error:
        raise TokenTableError(
            f"{path}: tables of type {kind.name} cannot be dequantised. Take another quantisation."
        ) from error
    return values.astype(np.float16)
