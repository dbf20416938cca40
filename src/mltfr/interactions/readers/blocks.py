"""The content of a text in blocks of whole lines, from some place on."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mltfr.interactions.readers.text import LONGEST_LINE, open_bytes, too_long


@dataclass(frozen=True)
class Mark:
    """A place in a table of text.

    Attributes:
        byte: bytes of the content before it.
        line: number of the line that begins there.
        row: number of the row that begins there, of those that are kept.
    """

    byte: int
    line: int
    row: int = 0


class Blocks:
    """Blocks of whole lines; only the last line of the content may lack its end.

    Args:
        path: the text.
        start: where the first line begins.
        size: bytes of a block, about.
    """

    def __init__(self, path: Path, start: Mark, size: int) -> None:
        self._path, self._size = path, size
        self._stream = open_bytes(path)
        for left in range(start.byte, 0, -size):
            self._stream.read(min(left, size))
        self._held, self._at = b"", 0
        self.byte, self.line = start.byte, start.line

    def take(self) -> bytes:
        """Return the next block, b"" at the end.

        Raises:
            DataError: a line is too long, or the file is damaged.
        """
        if len(self._held) - self._at < self._size:
            self._read()
        while not (end := self._end()) and len(self._held) - self._at <= LONGEST_LINE:
            if not self._read():
                end = len(self._held)
                break
        if (end or len(self._held)) - self._at > max(LONGEST_LINE, self._size):  # then it is one line
            raise too_long(self._path, self.line)
        block, self._at = self._held[self._at : end], end
        self._count(block, 1)
        return block

    def give_back(self, text: bytes) -> None:
        """Take back the end of what was taken last, to return it again."""
        if text:
            self._held, self._at = text + self._held[self._at :], 0
            self._count(text, -1)

    def _end(self) -> int:
        last = self._at + self._size
        return (self._held.rfind(b"\n", self._at, last) + 1) or (self._held.find(b"\n", last) + 1)

    def _read(self) -> bool:
        held = self._held[self._at :]
        more = self._stream.read(max(self._size, len(held)))
        self._held, self._at = held + more, 0
        return bool(more)

    def _count(self, text: bytes, sign: int) -> None:
        self.byte += sign * len(text)
        lines = int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord("\n")))
        if b"\r" in text:
            lines += text.count(b"\r") - text.count(b"\r\n")
        self.line += sign * lines


def decoded(block: bytes) -> str:
    """Return bytes as text; those that are not UTF-8 come back with `encoded`."""
    return block.decode(errors="surrogateescape")


def encoded(text: str) -> bytes:
    """Return what `decoded` was given."""
    return text.encode(errors="surrogateescape")


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, each with its end: a line feed, a carriage return, or both."""
    return list(io.StringIO(text, newline=""))
