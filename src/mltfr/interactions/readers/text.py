"""Text files as UTF-8, whatever their compression, encoding and line ends."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.readers.room import Room
from mltfr.interactions.readers.unpack import BLOCK, unpacked

HEAD = 1 << 16
"""Bytes that are enough to recognise a format."""
LONGEST_LINE = 1 << 26
"""Bytes of a line at most."""
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_LINE_END = re.compile(rb"\r?\n|\r(?!\Z)")  # a CR at the end may be half of one


def open_bytes(path: Path) -> BinaryIO:
    """Open a file's content as UTF-8 bytes.

    What is packed (gzip, zstd) is unpacked while it is read, UTF-16 with a byte order mark becomes UTF-8, and a byte
    order mark at the start is left out. Lines end with `\\n` or `\\r\\n`: where the first ends with `\\r` alone, as in
    files of old Macs, each `\\r` becomes `\\n`. The bytes are not checked; see `not_text`.

    Raises:
        DataError: the file is missing, empty, truncated, damaged, or UTF-32; also while it is read.
    """
    return io.BufferedReader(_Blocks(blocks(path)), BLOCK)


class _Blocks(io.RawIOBase):
    """A file that holds what an iterator yields."""

    def __init__(self, found: Iterator[bytes]) -> None:
        self._found, self._rest = found, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            block = next(self._found, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def blocks(path: Path) -> Iterator[bytes]:
    """Yield what `open_bytes` reads, in blocks.

    Raises:
        DataError: see `open_bytes`.
    """
    found = unpacked(path)
    first = _first_line(found)
    if first.startswith(_UTF_32):
        raise DataError(f"{path}: the text is UTF-32. Expected UTF-8; convert it with: iconv -f UTF-32 -t UTF-8")
    if first[:2] in _UTF_16:
        found = _from_utf_16(path, chain([first[2:]], found), _UTF_16[first[:2]])
        first = _first_line(found)
    first = first.removeprefix(codecs.BOM_UTF8)
    whole = chain([first], found) if first else found
    end = _LINE_END.search(first)
    return unix_lines(whole) if (end and end[0] == b"\r") or (not end and first.endswith(b"\r")) else whole


def _first_line(found: Iterator[bytes]) -> bytes:
    """Return blocks up to the end of the first line, or as much as a line may be long."""
    first = bytearray()
    for block in found:
        start = max(0, len(first) - 1)
        first += block
        if _LINE_END.search(first, start) or len(first) > LONGEST_LINE:
            break
    return bytes(first)


def _from_utf_16(path: Path, found: Iterator[bytes], codec: str) -> Iterator[bytes]:
    decoder, lines = codecs.getincrementaldecoder(codec)(), 1
    try:
        for block in found:
            text = decoder.decode(block)
            lines += text.count("\n")
            yield text.encode()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line = lines + error.object[: error.start].decode(codec).count("\n")
        raise DataError(
            f"{path}, line {line}: not UTF-16, as which the file begins ({error.reason}). "
            "Copy it again, or convert it to UTF-8."
        ) from error


def unix_lines(found: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks in which every line ends with `\\n`, for content in which a `\\r` can be nothing else."""
    held = b""
    for given in found:
        block = held + given
        held = b"\r" if block.endswith(b"\r") else b""
        if block := block.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n"):
            yield block
    if held:
        yield b"\n"


def whole_lines(path: Path, found: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks that end where a line ends; the last may lack its line end.

    Raises:
        DataError: a line is longer than `LONGEST_LINE`.
    """
    rest, lines = bytearray(), 0
    for block in found:
        if end := block.rfind(b"\n") + 1:
            whole, rest = bytes(rest) + block[:end], bytearray(block[end:])
            lines += whole.count(b"\n")
            yield whole
        else:
            rest += block
        if len(rest) > LONGEST_LINE:
            raise too_long(path, lines + 1)
    if rest:
        yield bytes(rest)


def too_long(path: Path, line: int) -> DataError:
    """Return the error about a line that is longer than any table has."""
    return DataError(
        f"{path}, line {line}: the line is longer than {LONGEST_LINE >> 20} MiB. Expected one interaction, or the "
        "history of one user, a line; copy or write the file again."
    )


def head(path: Path, start: int = 0) -> bytes:
    """Return the first bytes of a file's content from `start` on: `HEAD` of them, or all there are.

    Raises:
        DataError: the file is missing, empty or damaged.
    """
    with open_bytes(path) as file:
        file.read(start)
        return file.read(HEAD)


def head_line(path: Path) -> str:
    """Return the first line of a file's content, without its line end; "" where there is no content.

    Raises:
        DataError: the file is missing, empty or damaged, or the line longer than `LONGEST_LINE`.
    """
    with open_bytes(path) as file:
        line = file.readline(LONGEST_LINE + 1)
    if len(line) > LONGEST_LINE:
        raise too_long(path, 1)
    return line.decode(errors="replace").rstrip("\r\n")


def read_lines(path: Path) -> pl.Series:
    """Return a file's lines as strings, blank ones as null; lines end with `\\n`, `\\r\\n` or `\\r`.

    Raises:
        DataError: the file is missing, empty, damaged, not UTF-8 text, or too large for the memory.
    """
    room, parts = Room(path), [pl.Series("line", [], dtype=pl.String)]
    for block in whole_lines(path, unix_lines(blocks(path))):
        try:
            text = block.decode()
        except UnicodeDecodeError as error:
            raise not_text(path) from error
        parts.append(pl.Series("line", [text.removesuffix("\n")]).str.split("\n").explode(empty_as_null=False))
        room.take(len(block))
    lines = pl.concat(parts)
    return lines.set(~lines.str.contains(r"\S"), None)


def is_text(content: bytes) -> bool:
    """Say whether bytes are UTF-8."""
    if content.isascii():
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def not_text(path: Path) -> DataError:
    """Return the error about content that is not UTF-8, naming the first such line."""
    decoder, lines = codecs.getincrementaldecoder("utf-8")(), 1
    try:
        for block in blocks(path):
            lines += decoder.decode(block).count("\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line = lines + error.object.count(b"\n", 0, error.start)
        return DataError(
            f"{path}, line {line}: byte 0x{error.object[error.start]:02x} is not UTF-8. Expected UTF-8 text. "
            "Convert the file, for example with: iconv -f latin1 -t utf-8"
        )
    return DataError(f"{path}: not UTF-8 text. Convert the content to UTF-8.")
