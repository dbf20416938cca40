"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from mltfr.report.table import Table, TableCell


def markdown(table: Table, level: int = 2) -> str:
    """Return a table with its title as a heading of `level`, and its notes below."""
    lines = [
        f"{'#' * level} {escaped(table.title)}",
        "",
        _line([escaped(name) for name in table.header]),
        _line(["---:" if number else "---" for number in table.numbers]),
        *(_line([_cell(cell) for cell in row]) for row in table.rows),
    ]
    return "\n".join([*lines, *(f"\n{escaped(note)}" for note in table.notes)]) + "\n"


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    for sign in "\\|*_<>`":
        text = text.replace(sign, f"\\{sign}")
    return text


def _cell(cell: TableCell) -> str:
    return f"**{escaped(cell.text)}**" if cell.bold and cell.text else escaped(cell.text)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
