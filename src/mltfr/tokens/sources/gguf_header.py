"""The header of a GGUF file: metadata and where the tensors lie.

Read here and not with `gguf.GGUFReader`, which makes several arrays for every string of the header: 16 CPU
seconds and 700 MB for a vocabulary of 262,144 tokens, where this takes less than one second.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mltfr.errors import TokenTableError
from mltfr.storage.foreign import foreign_file
from mltfr.tokens.vocabulary import MAX_BYTES

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_DIMENSIONS = 8
_MAX_ALIGNMENT = 1 << 20


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies.

    Attributes:
        shape: as numpy has it: rows first.
        kind: number of the GGML type.
        start: first byte in the file.
    """

    shape: tuple[int, ...]
    kind: int
    start: int


@dataclass(frozen=True)
class GGUFHeader:
    """A file's metadata, and its tensors by name."""

    metadata: dict[str, Any]
    tensors: dict[str, TensorEntry]


def read_gguf_header(path: Path) -> GGUFHeader:
    """Read the header.

    Raises:
        TokenTableError: the file is missing, damaged, cut off, big-endian or of an unknown version.
    """
    problem = "damaged: the header is cut off or wrong"
    with foreign_file(path, TokenTableError, problem, "Fetch it again."), path.open("rb") as file:
        return _Reader(file, path).header()


class _Reader:
    """Reads a header, field after field."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path = file, path
        self.size = min(path.stat().st_size, MAX_BYTES)

    def header(self) -> GGUFHeader:
        if self.file.read(4) != b"GGUF":
            raise TokenTableError(f"{self.path}: damaged: it does not begin as a GGUF file does.")
        version = self.number("I")
        if version not in (2, 3):
            raise TokenTableError(
                f"{self.path}: GGUF version {version} is not known. Known: 2 and 3, little-endian."
            )
        tensors, entries = self.number("Q"), self.number("Q")
        metadata = {}
        for _ in range(self.plausible(entries, 13)):
            key = self.string().decode()
            if key in metadata:
                raise ValueError(f"two entries {key}")
            metadata[key] = self.value(self.number("I"))
        found = {}
        for _ in range(self.plausible(tensors, 24)):
            name = self.string().decode()
            if name in found or (count := self.number("I")) > _MAX_DIMENSIONS:
                raise ValueError(f"tensor {name}")
            dimensions = [self.number("Q") for _ in range(count)]
            found[name] = TensorEntry(tuple(reversed(dimensions)), self.number("I"), self.number("Q"))
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 0 < alignment <= _MAX_ALIGNMENT:
            raise ValueError("alignment")
        start = -(-self.file.tell() // alignment) * alignment
        placed = {
            name: TensorEntry(entry.shape, entry.kind, start + entry.start) for name, entry in found.items()
        }
        return GGUFHeader(metadata, placed)

    def plausible(self, count: int, size: int = 1) -> int:
        """Return a count of things of so many bytes at least, which what is left of the header is long enough for."""
        if not 0 <= count * size <= self.size - self.file.tell():
            raise ValueError(f"count {count}")
        return int(count)

    def number(self, code: str) -> Any:
        return struct.unpack("<" + code, self.file.read(struct.calcsize("<" + code)))[0]

    def string(self) -> bytes:
        length = self.plausible(self.number("Q"))
        text = self.file.read(length)
        if len(text) != length:
            raise ValueError("cut off")
        return text

    def value(self, kind: int) -> Any:
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind == _STRING:
            return self.string().decode("utf-8", errors="replace")
        if kind != _ARRAY:
            raise ValueError(f"type {kind}")
        inner, count = self.number("I"), self.number("Q")
        if inner in _NUMBERS:
            self.plausible(count, struct.calcsize("<" + _NUMBERS[inner]))
            values = np.fromfile(self.file, "<" + _NUMBERS[inner], count)
            if len(values) != count:
                raise ValueError("cut off")
            return values
        if inner != _STRING:  # arrays of arrays are allowed, and nobody writes them
            raise ValueError(f"an array of type {inner}")
        return [self.value(inner) for _ in range(self.plausible(count, 8))]
