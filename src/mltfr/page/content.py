"""What a page is made of: sections of paragraphs, facts, tables and figures, independent of HTML."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from mltfr.report.table import Table as ReportTable

Value = str | int | float | None
"""Content of a cell; None where there is none."""
_FORMULA = ("=", "+", "-", "@", "\t")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        form: how its numbers are written, as `format` takes it (".4f"); "" for text.
        strong: rows whose cell is bold.
    """

    name: str
    form: str = ""
    strong: frozenset[int] = frozenset()

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return bool(self.form)

    def shown(self, value: Value) -> str:
        """Return a cell as people read it; what is given as text is written already."""
        if value is None:
            return ""
        return value if isinstance(value, str) else format(value, self.form)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: name of its CSV file, without ending.
        title: what it shows.
        columns: its columns.
        rows: a value for every column, each.
        notes: how to read it.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of_report(cls, table: ReportTable) -> Table:
        """Return a table of a study's report."""
        pairs = zip(table.header, table.numbers, strict=True)
        columns = tuple(
            Column(name, "s" * number, frozenset(row for row, cells in enumerate(table.rows) if cells[place].bold))
            for place, (name, number) in enumerate(pairs)
        )
        rows = tuple(tuple(cell.text for cell in row) for row in table.rows)
        return cls(table.name, table.title, columns, rows, table.notes)

    def csv(self) -> str:
        """Return the table as CSV, numbers with all their digits; no cell is a formula to a spreadsheet."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_plain(column.name) for column in self.columns])
        writer.writerows([[_plain(value) for value in row] for row in self.rows])
        return file.getvalue()


@dataclass(frozen=True)
class Figure:
    """A figure with the table of what it shows.

    Attributes:
        svg: the picture, an `svg` element.
        table: its numbers; its title and notes are the figure's.
    """

    svg: str
    table: Table


@dataclass(frozen=True)
class Example:
    """A user's history, the held-out item and the list that was recommended.

    Attributes:
        title: whose it is.
        history: the newest items, oldest first.
        earlier: number of items before them.
        target: what came next.
        verdict: whether the list has it, in words.
        best: the list, best first.
        hit: place of the target in the list, from 0; None where it is not there.
    """

    title: str
    history: tuple[str, ...]
    earlier: int
    target: str
    verdict: str
    best: tuple[str, ...]
    hit: int | None


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Attributes:
        name: its anchor.
        title: its heading.
        paragraphs: what is said first.
        facts: names and values.
        figures: figures, each with its table to unfold.
        tables: tables that are open.
        examples: users.
        commands: lines for a terminal.
        absent: what a reader may look for and is not here, and why.
    """

    name: str
    title: str
    paragraphs: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    examples: tuple[Example, ...] = ()
    commands: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: its heading.
        about: what it is about, in a line.
        verdict: what was found, in one sentence.
        more: what else the verdict says, a sentence or two each.
        sections: the rest.
        foot: what it was made by.
    """

    title: str
    about: str
    verdict: str
    more: tuple[str, ...]
    sections: tuple[Section, ...]
    foot: str

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures."""
        return tuple(figure for section in self.sections for figure in section.figures)

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables, those of figures too."""
        return tuple(
            table
            for section in self.sections
            for table in (*(figure.table for figure in section.figures), *section.tables)
        )


def _plain(value: Value) -> str | int | float | None:
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
