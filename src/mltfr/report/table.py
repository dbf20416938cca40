"""A table, independent of Markdown and LaTeX, and the format of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TableCell:
    """One cell: plain text, and whether it is bold."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: its file's name, without ending.
        title: what it shows.
        header: the columns' names.
        numbers: of each column, whether it holds numbers.
        rows: the cells.
        notes: how to read it, one sentence or more each.
        sections: indices of the rows that a new section begins with.
    """

    name: str
    title: str
    header: tuple[str, ...]
    numbers: tuple[bool, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    notes: tuple[str, ...]
    sections: tuple[int, ...] = ()

    def without_empty_columns(self) -> Table:
        """Return the table without the columns that have a name and no content."""
        return self._columns([index for index in range(len(self.header)) if any(row[index].text for row in self.rows)])

    def only(self, names: Sequence[str]) -> Table:
        """Return the table with some of its columns, in its own order; names that it does not have do not matter."""
        return self._columns([index for index, name in enumerate(self.header) if name in names])

    def _columns(self, kept: Sequence[int]) -> Table:
        return replace(
            self,
            header=tuple(self.header[index] for index in kept),
            numbers=tuple(self.numbers[index] for index in kept),
            rows=tuple(tuple(row[index] for index in kept) for row in self.rows),
        )


def score(value: float | None) -> str:
    """Return a metric's value: `.0573`."""
    if value is None:
        return ""
    text = f"{value:.4f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def spread(mean: float, deviation: float | None) -> str:
    """Return a mean with its standard deviation, if it has one: `.0573 ± .0004`."""
    return score(mean) if deviation is None else f"{score(mean)} ± {score(deviation)}"


def percent(value: float | None) -> str:
    """Return a signed share: `+3.1 %`."""
    if value is None:
        return ""
    text = f"{100 * value:+.1f}"
    return f"{'0.0' if text in ('+0.0', '-0.0') else text.replace('-', '−')} %"


def p_value(p: float | None) -> str:
    """Return a p value with three digits: `.032`, or `< .001`."""
    if p is None:
        return ""
    return "< .001" if p < 0.0005 else "1" if p >= 0.9995 else f"{p:.3f}".lstrip("0")


def metric_name(metric: str) -> str:
    """Return how a metric is written in a heading: `NDCG@10`."""
    return metric.upper()


def listed(names: list[str]) -> str:
    """Return names as a phrase: `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
