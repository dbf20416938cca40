"""A file's bytes, unpacked: plain, gzip and zstd files are told apart by their first bytes."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import zstandard

from mltfr.errors import DataError

BLOCK = 1 << 20
"""Bytes of a file that are read at a time."""
_ZSTD_BLOCK = 1 << 10  # of packed bytes: at the worst they hold 32 MiB
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")  # a frame, or one to skip
Compression = Literal["none", "gzip", "zstd"]


def compression(path: Path) -> Compression:
    """Return how a file is compressed, whatever its name.

    Raises:
        DataError: the file is missing, cannot be read, or is empty.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(f"{path}: is no regular file. Write what it gives into a file first.")
    with readable(path), path.open("rb") as file:
        magic = file.read(4)
    if not magic:
        raise DataError(f"{path}: the file is empty. Expected one interaction a line.")
    if magic[:2] == b"\x1f\x8b":
        return "gzip"
    return "zstd" if _ZSTD.match(magic) else "none"


def unpacked(path: Path) -> Iterator[bytes]:
    """Yield a file's content in blocks, none of them empty; several gzip members or zstd frames are one content.

    Raises:
        DataError: the file is missing, empty, cannot be read, truncated or damaged.
    """
    kind = compression(path)
    with damage(path) if kind != "none" else readable(path):
        if kind == "zstd":
            yield from _of_zstd(path)
            return
        with gzip.open(path) if kind == "gzip" else path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block


def _of_zstd(path: Path) -> Iterator[bytes]:
    """Yield the content of a zstd file, one frame after the other.

    The library's stream reader takes the end of a truncated file for the end of its content.
    """
    frame, block = None, bytearray()
    with path.open("rb") as file:
        while packed := file.read(_ZSTD_BLOCK):
            while packed:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                block += frame.decompress(packed)
                packed, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
            if len(block) >= BLOCK:
                yield bytes(block)
                block.clear()
    if block:
        yield bytes(block)
    if frame is not None:
        raise EOFError("the last frame does not end")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to read a file into one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Check the path.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a folder. Give a file.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn what a damaged archive causes into one line."""
    try:
        yield
    except (EOFError, zlib.error, zstandard.ZstdError, OSError) as error:
        raise DataError(
            f"{path}: the compressed file is truncated or damaged ({error}). Copy or download it again."
        ) from error
