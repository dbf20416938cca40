"""Format detection from a file's content."""

from __future__ import annotations

import re
from pathlib import Path

from mltfr.errors import DataError
from mltfr.interactions.columns import Columns
from mltfr.interactions.parts import has_parts, refuse_split
from mltfr.interactions.readers.headerless import is_table
from mltfr.interactions.readers.json_array import is_json_array, to_json_lines
from mltfr.interactions.readers.layout import DELIMITERS, preamble, usual_layout
from mltfr.interactions.readers.parquet import parts_of
from mltfr.interactions.readers.preamble import Preamble
from mltfr.interactions.readers.recbole import is_typed_header
from mltfr.interactions.readers.sequence import read_words
from mltfr.interactions.readers.text import HEAD, head

FORMS = "CSV or TSV with a header, Parquet, JSON Lines, RecBole .inter, `user item item ...`, "
FORMS += "`user : item item ...`, `user item`, or a folder with train.txt and test.txt"


class LoneWordError(DataError):
    """A text begins with a line of one word: no table, and a history only if its user has no items."""


def detect(path: Path, columns: Columns) -> str:
    """Return the name of a file's or folder's format.

    Raises:
        DataError: the content is empty, binary, or of no known format.
    """
    if path.is_dir():
        parts = [] if has_parts(path) else parts_of(path)
        refuse_split(path, parts)
        return "parquet" if parts else "folder"
    if columns.names:
        return "csv"
    content = head(path)
    if content[:4] == b"PAR1":
        return "parquet"
    if b"\0" in content:
        raise DataError(f"{path}: binary content of no known format. Expected {FORMS}.")
    before = preamble(path, columns)
    if before.comments and not before.first:
        raise DataError(f"{path}: the file holds comment lines only. Expected {FORMS}.")
    if before.start:
        content = head(path, before.start)
    text = re.split(r"\r?\n|\r", content.decode(errors="replace"))
    lines = [line for line in text if line.strip()] or [before.first] * bool(before.first)
    if len(content) >= HEAD and len(lines) > 1:
        lines.pop()  # cut off in the middle
    if not lines:
        raise DataError(f"{path}: the file holds blank lines only. Expected {FORMS}.")
    return _of_lines(path, lines, columns, before)


def _of_lines(path: Path, lines: list[str], columns: Columns, before: Preamble) -> str:
    first = lines[0]
    if first.lstrip().startswith("{"):
        return "jsonl"
    if is_json_array(first):
        raise DataError(f"{path}: a JSON array. Expected JSON Lines, one object a line; {to_json_lines(path)}.")
    if is_typed_header(first) or is_typed_header(re.split(r"[\t,]", first)[0]):  # its reader says what is wrong with it
        return "recbole"
    if usual_layout(path, columns, before) is not None:
        return "csv"
    words = [line.split() for line in lines]
    if all(len(row) > 1 and (row[1] == ":" or row[0].endswith(":")) for row in words[:10]):
        return "sequence-colon"
    marked = any(mark in first for mark in DELIMITERS[:1] + DELIMITERS[2:4]) and len(first.split()) == 1
    if is_table(path, lines) or marked:
        return "csv"  # its reader says which column is missing
    if len(first.split()) < 2:
        raise LoneWordError(f"{path}: line 1 is {first[:40]!r}, of no known format. Expected {FORMS}.")
    if not _is_pairs(path, words):
        return "sequence"
    return "csv" if _names_columns(words) else "pairs"  # a reader of tables says which column is missing


def _names_columns(words: list[list[str]]) -> bool:
    """Say whether the first of lines of two words names columns: it alone has no digit in either word."""
    with_digit = [[any(map(str.isdigit, word)) for word in row] for row in words]
    return len(words) > 2 and not any(with_digit[0]) and all(map(all, with_digit[1:]))


def _is_pairs(path: Path, words: list[list[str]]) -> bool:
    """Tell `user item` lines from histories: the lines have two words, and a user comes again.

    Where no user comes again the two readings are the same log.
    """
    if len({row[0] for row in words}) < len(words):
        return 2 * sum(len(row) == 2 for row in words) > len(words)
    if any(len(row) != 2 for row in words):
        return False
    return bool((read_words(path).frame["words"].list.len() == 2).all())
