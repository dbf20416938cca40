"""Tables without a header, told from histories: every line has the same width, and a column of times or ratings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mltfr.errors import DataError

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[/.]\d\d?[/.]\d{4}( .*)?")
_LOOKED_AT = 1000


def refuse_headerless(path: Path, lines: Sequence[str]) -> None:
    """Raise where lines without the usual names are rows of a table, and name the flag that reads it.

    Args:
        path: the file.
        lines: its first lines that are not blank.

    Raises:
        DataError: the lines look like a table without a header.
    """
    lines = lines[:_LOOKED_AT]
    for delimiter in ("::", ",", ";", "|", "\t", None):
        rows = [[field.strip().strip("\"'") for field in line.split(delimiter)] for line in lines]
        if len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
            continue
        columns = list(zip(*rows, strict=True))
        graded = len(rows) > 1 and not _small(columns[1])  # then small numbers behind the items are no items
        kinds = [_kind(column, graded and place > 1) for place, column in enumerate(columns)]
        history = delimiter in ("\t", None) and len(rows[0]) < 3
        sure = delimiter not in ("\t", None) and any(_NUMBER.fullmatch(field) for field in rows[0])
        if history or not (sure or _tells(kinds)):
            continue
        names = _names(kinds)
        other = "" if delimiter not in ("\t", None) else " If its lines are histories, pass --format sequence."
        raise DataError(
            f"{path}: looks like a table without a header: its first line is {lines[0][:60]!r}. Name its columns, as "
            f"in: mltfr data describe {path} --columns {','.join(names)}.{other}"
        )


def _tells(kinds: Sequence[str]) -> bool:
    """Say whether a column behind those of user and item shows a table: times, or fractions or grades."""
    return any(kind != "id" for kind in kinds[2:]) and "id" in kinds[:2] and kinds[1] != "time"


def _small(column: Sequence[str]) -> bool:
    """Say whether a column holds nothing but numbers from -10 to 10."""
    return all(_NUMBER.fullmatch(value) and abs(float(value)) <= 10 for value in column)


def _kind(column: Sequence[str], graded: bool) -> str:
    """Return what a column looks like: "time", "rating" or "id"."""
    if all(_DATE.fullmatch(value) for value in column):
        return "time"
    if not all(_NUMBER.fullmatch(value) for value in column):
        return "id"
    numbers = [float(value) for value in column]
    if all(1e8 <= number < 3e18 for number in numbers):
        return "time"
    return "rating" if _small(column) and (graded or any("." in value for value in column)) else "id"


def _names(kinds: Sequence[str]) -> list[str]:
    """Return a guess at the names of columns."""
    names = ["user_id", "item_id", *(f"column{place}" for place in range(3, len(kinds) + 1))]
    for place in range(2, len(kinds)):
        if kinds[place] == "time" and "timestamp" not in names:
            names[place] = "timestamp"
        elif "rating" not in names and place == 2:
            names[place] = "rating"
    return names
