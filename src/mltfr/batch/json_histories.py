"""Histories as JSON Lines: `{"user_id": "u1", "items": ["a", "b"]}`, oldest item first, packed or not."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from mltfr.batch.users import Users, duplicate_hashes, first_duplicate
from mltfr.errors import DataError
from mltfr.interactions.ids import WHITE_SPACE, kind_of
from mltfr.interactions.readers.json_array import is_json_array, to_json_lines
from mltfr.interactions.readers.text import HEAD, head, open_bytes
from mltfr.interactions.readers.unpack import BLOCK, readable
from mltfr.storage.parse import parse_json

STRIDE = 1 << 10
"""Users between two byte offsets that are kept."""
_EXPECTED = 'expected {"user_id": "u1", "items": ["a", "b"]}'
_MARK = b"\xef\xbb\xbf"


class JsonUsers(Users):
    """Users of a JSON Lines file, none of whom needs to be known.

    The file is checked once, so that errors in it are reported before any work is done.

    Args:
        path: the file.

    Raises:
        DataError: a line is something else, or a user comes twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with readable(path):
            if path.is_file() and not path.stat().st_size:
                raise DataError(f"{path}: empty. Give one JSON object a line.")
        self._as_it_stands = _stands(path)
        self._offsets = array("q")
        hashes = array("q")
        for number, offset, user, _ in self._rows():
            if len(hashes) % STRIDE == 0:
                self._offsets.extend((offset, number))
            hashes.append(hash(user.strip(WHITE_SPACE)))
        self._count = len(hashes)
        if not self._count:
            raise DataError(f"{path}: empty. Give one JSON object a line.")
        if twice := duplicate_hashes(np.frombuffer(hashes, np.int64)):
            users = ((number, user.strip(WHITE_SPACE)) for number, _, user, _ in self._rows())
            rows = [(number, user) for number, user in users if hash(user) in twice]
            found = first_duplicate([user for _, user in rows], twice)
            if found is not None:
                where = f"{path}, line {rows[found[0]][0]}"
                raise DataError(f"{where}: user '{found[1]}' comes a second time. Give every user one line.")

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Return `user_id` and `items` of some users, with the white space that may stand around ids."""
        block = start // STRIDE
        offset, number = self._offsets[2 * block], self._offsets[2 * block + 1]
        rows = list(islice(self._rows(offset, number), start - block * STRIDE, stop - block * STRIDE))
        schema: dict[str, pl.DataType] = {"user_id": pl.String(), "items": pl.List(pl.String)}
        return pl.DataFrame({"user_id": [row[2] for row in rows], "items": [row[3] for row in rows]}, schema=schema)

    def fingerprint(self) -> str:
        """Return the checksum of the file's lines."""
        digest = hashlib.sha256()
        for _, _, line in self._lines(0, 1):
            digest.update(line)
        return digest.hexdigest()

    def _rows(self, offset: int = 0, number: int = 1) -> Iterator[tuple[int, int, str, list[str]]]:
        """Yield line number, byte offset, user and items of every line that is not blank."""
        for line_number, where, line in self._lines(offset, number):
            row = _decode(self.path, line_number, where, line)
            if row is not None:
                yield line_number, where, *row

    def _lines(self, offset: int, number: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield number, byte offset and content of every line; only line feeds end one, as everywhere in mltfr."""
        with readable(self.path), self._open(offset) as file:
            for line in file:
                yield number, offset, line.removeprefix(_MARK) if offset == 0 else line
                number, offset = number + 1, offset + len(line)

    def _open(self, offset: int) -> BinaryIO:
        """Open the content at a byte offset; what is packed is unpacked up to there."""
        if self._as_it_stands:
            file: BinaryIO = self.path.open("rb")
            file.seek(offset)
            return file
        file = open_bytes(self.path)
        for left in range(offset, 0, -BLOCK):
            file.read(min(left, BLOCK))
        return file


def _stands(path: Path) -> bool:
    """Say whether a file's bytes are its content: it is neither packed nor encoded otherwise."""
    content = head(path)
    with path.open("rb") as file:
        return file.read(HEAD + len(_MARK)).removeprefix(_MARK)[:HEAD] == content


def _object(pairs: list[tuple[str, Any]]) -> Any:
    """Return a JSON object, and one that has a key twice as its pairs, which nobody takes for one."""
    row = dict(pairs)
    return row if len(row) == len(pairs) else pairs


def _decode(path: Path, number: int, offset: int, content: bytes) -> tuple[str, list[str]] | None:
    """Return the user and the items of a line, None of a blank one."""
    try:
        line = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {offset + error.start}).") from error
    if not line.strip():
        return None
    where = f"{path}, line {number}"
    if is_json_array(line):
        raise DataError(f"{where}: a JSON array; {_EXPECTED}, one object a line; {to_json_lines(path)}.")
    try:
        row = parse_json(line, object_pairs_hook=_object)
    except ValueError as error:
        raise DataError(f"{where}: found {line.strip()[:80]}, which is not JSON; {_EXPECTED}.") from error
    if not isinstance(row, dict) or set(row) != {"user_id", "items"} or not isinstance(row["items"], list):
        raise DataError(f"{where}: found {line.strip()[:80]}; {_EXPECTED}.")
    values = [row["user_id"], *row["items"]]
    wrong = [value for value in values if kind_of(value) not in ("string", "number")]
    if wrong:
        raise DataError(f"{where}: found {json.dumps(wrong[0])[:80]}, but ids are texts or whole numbers; {_EXPECTED}.")
    user, *items = (value if isinstance(value, str) else str(int(value)) for value in values)
    return user, items
