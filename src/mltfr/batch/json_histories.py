"""Histories as JSON Lines: `{"user_id": "u1", "items": ["a", "b"]}`, oldest item first."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from mltfr.batch.users import Users, duplicate_hashes, first_duplicate
from mltfr.errors import DataError

STRIDE = 1 << 10
"""Users between two places of the file that are remembered."""
_EXPECTED = 'expected {"user_id": "u1", "items": ["a", "b"]}'
_MARK = b"\xef\xbb\xbf"


class JsonUsers(Users):
    """Users of a JSON Lines file, none of whom needs to be known.

    The file is looked through once, so that what is wrong with it is said before any work is done.

    Args:
        path: the file.

    Raises:
        DataError: a line is something else, or a user comes twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places = array("q")
        digest, hashes = hashlib.sha256(), array("q")
        for number, place, line in self._lines(0):
            digest.update(line)
            row = _decode(path, number, place, line)
            if row is None:
                continue
            if len(hashes) % STRIDE == 0:
                self._places.extend((place, number))
            hashes.append(hash(row[0]))
        self._count = len(hashes)
        self._digest = digest.hexdigest()
        if not self._count:
            raise DataError(f"{path}: empty. Give one JSON object a line.")
        if twice := duplicate_hashes(np.frombuffer(hashes, np.int64)):
            rows = list(self._numbers_of(twice))
            found = first_duplicate([user for _, user in rows], twice)
            if found is not None:
                number, user = rows[found[0]]
                where = f"{path}, line {number}"
                raise DataError(f"{where}: user '{user}' comes a second time. Give every user one line.")

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Return `user_id` and `items` of some users."""
        users: list[str] = []
        items: list[list[str]] = []
        block = start // STRIDE
        place, number = self._places[2 * block], self._places[2 * block + 1]
        skip = start - block * STRIDE
        for line_number, where, line in self._lines(place, number):
            if len(users) == stop - start:
                break
            row = _decode(self.path, line_number, where, line)
            if row is None:
                continue
            if skip:
                skip -= 1
                continue
            users.append(row[0])
            items.append(row[1])
        schema: dict[str, pl.DataType] = {"user_id": pl.String(), "items": pl.List(pl.String)}
        return pl.DataFrame({"user_id": users, "items": items}, schema=schema)

    def fingerprint(self) -> str:
        """Return the checksum of the file's lines."""
        return self._digest

    def _lines(self, place: int, number: int = 1) -> Iterator[tuple[int, int, bytes]]:
        """Yield number, place and bytes of every line; only line feeds end one, as everywhere else in mltfr."""
        try:
            with self.path.open("rb") as file:
                file.seek(place)
                for line in file:
                    yield number, place, line.removeprefix(_MARK) if place == 0 else line
                    number, place = number + 1, place + len(line)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror}).") from error

    def _numbers_of(self, hashes: set[int]) -> Iterator[tuple[int, str]]:
        for number, place, line in self._lines(0):
            row = _decode(self.path, number, place, line)
            if row is not None and hash(row[0]) in hashes:
                yield number, row[0]


def _decode(path: Path, number: int, place: int, content: bytes) -> tuple[str, list[str]] | None:
    """Return the user and the items of a line, None of a blank one."""
    try:
        line = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {place + error.start}).") from error
    if not line.strip():
        return None
    where = f"{path}, line {number}"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: found {line.strip()[:80]}, which is not JSON; {_EXPECTED}.") from error
    if not isinstance(row, dict) or set(row) != {"user_id", "items"} or not isinstance(row["items"], list):
        raise DataError(f"{where}: found {line.strip()[:80]}; {_EXPECTED}.")
    wrong = [value for value in [row["user_id"], *row["items"]] if not _is_id(value)]
    if wrong:
        raise DataError(f"{where}: found {json.dumps(wrong[0])}, but ids are texts or whole numbers; {_EXPECTED}.")
    return str(row["user_id"]), [str(item) for item in row["items"]]


def _is_id(value: object) -> bool:
    return value != "" and isinstance(value, str | int) and not isinstance(value, bool)
