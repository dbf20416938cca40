"""Token tables in safetensors files, whole or in shards.

The header is read here and the values straight from the file, a few rows at a time: the safetensors package
hands numpy no bfloat16, and maps the whole file into memory.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mltfr.errors import TokenTableError
from mltfr.storage.parse import parse_json
from mltfr.tokens.sources.base import (
    OpenTable,
    TokenSource,
    TokenSourceConfig,
    check_shape,
    register_source,
    rows_per_chunk,
)
from mltfr.tokens.sources.model2vec import MAPPING, WEIGHTS, check, is_mapped, stored_type
from mltfr.tokens.sources.tensor_names import choose_tensor
from mltfr.tokens.vocabulary import MAX_BYTES, find_vocabulary, numbered, read_vocabulary_file

_SHARD = re.compile(r"(?!\.)[^/\\\0]+\.safetensors")
INDEX = "model.safetensors.index.json"
_TYPES = {
    "F16": ("<f2", np.float16),
    "BF16": ("<u2", np.float16),
    "F32": ("<f4", np.float32),
    "F64": ("<f8", np.float32),
}
"""Numpy's type of a value in the file, and the type it is read as.

bfloat16 becomes float16: it has fewer digits, and embeddings lie well within float16's range.
"""


class SafetensorsConfig(TokenSourceConfig):
    """A safetensors file, an index of shards, or a folder with either."""

    name: Literal["safetensors"] = "safetensors"
    path: Path
    """The `.safetensors` file, `*.index.json`, or the folder."""
    vocabulary: Path | None = None
    """Vocabulary file; looked for beside the table if not given."""


@register_source("safetensors", SafetensorsConfig)
class SafetensorsSource(TokenSource):
    """A safetensors file, or the shard of several that holds the table."""

    def __init__(self, config: SafetensorsConfig) -> None:
        self.config = config

    @classmethod
    def from_location(cls, location: str, tensor: str | None, vocabulary: Path | None) -> TokenSource | None:
        """Recognise the file's ending, or a folder with such files in it."""
        path = Path(location)
        is_file = path.name.endswith((".safetensors", ".safetensors.index.json")) and path.is_file()
        if is_file or (path.is_dir() and any(path.glob("*.safetensors"))):
            return cls(SafetensorsConfig(path=path, tensor=tensor, vocabulary=vocabulary))
        return None

    @contextmanager
    def open(self) -> Iterator[OpenTable]:
        """Find the shard and the tensor; values are read when the chunks are."""
        path = shard(self.config.path, self.config.tensor)
        tensors, start = read_header(path)
        name = choose_tensor({key: entry["shape"] for key, entry in tensors.items()}, self.config.tensor, str(path))
        kind, shape = tensors[name]["dtype"], check_shape(tensors[name]["shape"], f"{path}: tensor '{name}'")
        if kind not in _TYPES:
            raise TokenTableError(
                f"{path}: tensor '{name}' is of type {kind}. Known: {', '.join(_TYPES)}; "
                "take an unquantised checkpoint, or a GGUF file."
            )
        stored, dtype = _TYPES[kind]
        begin = _place(path, name, tensors, start, stored)
        rows, chunks = shape[0], lambda: _chunks(path, begin, shape, kind)
        if is_mapped(name, tensors):
            mapping, weights = (_vector(path, key, tensors, start) for key in (MAPPING, WEIGHTS))
            rows = check(mapping, weights, shape[0], str(path))
            dtype = dtype if weights is None else np.float32
            chunks = lambda: _mapped_chunks(path, begin, shape, kind, mapping, weights)  # noqa: E731
        beside = self.config.vocabulary or find_vocabulary(path.parent, path.stem)
        yield OpenTable(
            shape=(rows, shape[1]),
            dtype=np.dtype(dtype),
            chunks=chunks,
            strings=read_vocabulary_file(beside) if beside else numbered(rows),
            provenance={
                "source": "safetensors",
                "file": path.name,
                "tensor": name,
                "type": kind,
                "vocabulary_file": beside.name if beside else None,
            },
        ).trimmed()


def shard(path: Path, tensor: str | None) -> Path:
    """Return the file that holds the table.

    Args:
        path: a file, an index, or a folder with either.
        tensor: the table's name, if given.

    Raises:
        TokenTableError: no such file, or the index is damaged or names no table.
    """
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        index = next((file for file in sorted(path.glob("*.safetensors.index.json")) if file.is_file()), None)
        if index is None and len(files) > 1 and path / "model.safetensors" not in files:
            listed = ", ".join(file.name for file in files[:4])
            raise TokenTableError(f"{path}: several files and no {INDEX}: {listed}. Name the one to read.")
        path = index or (path / "model.safetensors" if path / "model.safetensors" in files else files[0])
    if not path.name.endswith(".index.json"):
        return path
    files_by_tensor = read_index(path)
    name = choose_tensor(dict.fromkeys(files_by_tensor, (1, 1)), tensor, str(path))
    return path.parent / files_by_tensor[name]


def read_index(path: Path) -> dict[str, str]:
    """Return the shard of every tensor, from an index file.

    Raises:
        TokenTableError: the index is damaged, or names a file outside its folder.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("too large")
        files = dict(parse_json(path.read_text(encoding="utf-8"))["weight_map"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TokenTableError(f"{path}: damaged: not an index of shards. Fetch it again.") from error
    if not all(isinstance(file, str) and _SHARD.fullmatch(file) for file in files.values()):
        raise TokenTableError(f"{path}: names a shard outside its own folder, so it is not read.")
    return files


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return a file's header and the place where the values begin.

    The file's metadata is left out.

    Format: 8 bytes little-endian length, then JSON `{tensor: {dtype, shape, data_offsets}}`, then the values.

    Raises:
        TokenTableError: the file is missing or damaged.
    """
    if path.exists() and not path.is_file():  # a pipe would wait for ever
        raise TokenTableError(f"{path}: cannot be read (it is no file).")
    try:
        with path.open("rb") as file:
            prefix = file.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            if not 2 <= length <= min(path.stat().st_size - 8, MAX_BYTES):
                raise TokenTableError(f"{path}: damaged: the header is cut off. Fetch it again.")
            header = parse_json(file.read(length))
    except OSError as error:
        raise TokenTableError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise TokenTableError(f"{path}: damaged: the header is not JSON. Fetch it again.") from error
    if isinstance(header, dict):
        header.pop("__metadata__", None)
    if not isinstance(header, dict) or not all(map(_is_entry, header.values())):
        raise TokenTableError(f"{path}: damaged: the header describes no tensors. Fetch it again.")
    return header, 8 + length


def _is_entry(entry: Any) -> bool:
    try:
        begin, end = entry["data_offsets"]
        counts = [*entry["shape"], begin, end]
        return isinstance(entry["dtype"], str) and all(type(n) is int and 0 <= n < 1 << 63 for n in counts)
    except (TypeError, KeyError, ValueError):
        return False


def _place(path: Path, name: str, tensors: dict[str, Any], start: int, stored: str) -> int:
    """Return where a tensor begins in the file, after checking that it lies in it whole."""
    begin, end = tensors[name]["data_offsets"]
    if end - begin != prod(tensors[name]["shape"]) * np.dtype(stored).itemsize or start + end > path.stat().st_size:
        raise TokenTableError(f"{path}: damaged: tensor '{name}' is cut off. Fetch it again.")
    return int(start + begin)


def _vector(path: Path, name: str, tensors: dict[str, Any], start: int) -> npt.NDArray[Any] | None:
    """Return the mapping or the weights of a model2vec table; None where it has none."""
    if name not in tensors:
        return None
    shape = tuple(tensors[name]["shape"])
    stored = stored_type(name, tensors[name]["dtype"], shape, str(path))
    begin = _place(path, name, tensors, start, stored)
    if shape[0]:
        check_shape((shape[0], 1), f"{path}: tensor '{name}'")
    return np.fromfile(path, stored, shape[0], offset=begin)


def _chunks(path: Path, start: int, shape: tuple[int, int], kind: str) -> Iterator[npt.NDArray[Any]]:
    rows, width = shape
    stored = _TYPES[kind][0]
    step = rows_per_chunk(width)
    with path.open("rb") as file:
        file.seek(start)
        for first in range(0, rows, step):
            count = min(step, rows - first) * width
            values = np.fromfile(file, stored, count)
            if len(values) != count:
                raise TokenTableError(f"{path}: damaged: it ends within the table. Fetch it again.")
            yield _floats(values, kind).reshape(-1, width)


def _mapped_chunks(
    path: Path,
    start: int,
    shape: tuple[int, int],
    kind: str,
    mapping: npt.NDArray[Any] | None,
    weights: npt.NDArray[Any] | None,
) -> Iterator[npt.NDArray[Any]]:
    table: npt.NDArray[Any] = np.memmap(path, _TYPES[kind][0], "r", start, shape)
    tokens, step = shape[0] if mapping is None else len(mapping), rows_per_chunk(shape[1])
    for first in range(0, tokens, step):
        part = slice(first, first + step)
        values = _floats(table[part] if mapping is None else table[mapping[part]], kind)
        yield values if weights is None else (values * weights[part, None]).astype(np.float32)


def _floats(values: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
    if kind == "BF16":  # the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32).astype(np.float16)
    return values.astype(np.float32) if kind == "F64" else values
