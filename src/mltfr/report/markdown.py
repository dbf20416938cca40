"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from mltfr.report.table import Table, TableCell


def markdown(table: Table, level: int = 2) -> str:
    """Return a table with its title as a heading of `level`, and its notes below."""
    lines = [
        f"{'#' * level} {escaped(table.title)}",
        "",
        markdown_rows(map(escaped, table.header), (map(_cell, row) for row in table.rows), table.numbers),
    ]
    return "\n".join([*lines, *(f"\n{escaped(note)}" for note in table.notes)]) + "\n"


def markdown_rows(header: Iterable[str], rows: Iterable[Iterable[str]], numbers: Iterable[bool]) -> str:
    """Return the lines of a table whose cells are Markdown already.

    Args:
        header: the columns' names.
        rows: the cells.
        numbers: of each column, whether it holds numbers, which stand at the right.
    """
    lines = [header, ["---:" if number else "---" for number in numbers], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    for sign in "\\|*_<>`":
        text = text.replace(sign, f"\\{sign}")
    return text


def _cell(cell: TableCell) -> str:
    return f"**{escaped(cell.text)}**" if cell.bold and cell.text else escaped(cell.text)
