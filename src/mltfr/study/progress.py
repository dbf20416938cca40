"""A study's progress on stderr: a live table on a terminal, a line for every cell elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.console import Group as Lines
from rich.live import Live
from rich.table import Table

from mltfr.storage.progress import ConsoleProgress
from mltfr.study.board import Board, duration
from mltfr.study.plan import Cell, Group


class Progress(ConsoleProgress):
    """Shows a line whenever something is done.

    Args:
        metric: the metric that the study decides by.
    """

    def __init__(self, metric: str) -> None:
        super().__init__()
        self.metric = metric

    def show(self, board: Board) -> None:
        """Show how things stand; called many times a second."""

    def finished(self, board: Board, cell: Cell, document: Mapping[str, Any], seconds: float) -> None:
        """Print a finished cell's score and the time left."""
        score = f"{self.metric} {document['metrics'][self.metric]:.4f}"
        self.message(f"{_line(board)}{cell.group}, seed {cell.seed}: {score} ({seconds:.1f} s){_left(board)}")

    def failed(self, board: Board, cell: Cell, message: str) -> None:
        """Print what went wrong."""
        self.message(f"{_line(board)}{cell.group}, seed {cell.seed}: failed: {message}")

    def tried(self, board: Board, group: Group, record: Mapping[str, Any]) -> None:
        """Print a trial's score."""
        value = "failed" if record["value"] is None else f"validation {self.metric} {record['value']:.4f}"
        self.message(f"{group}, trial {record['trial']}: {value}{_left(board)}")


class LiveProgress(Progress):
    """Shows one table that changes: a row for every data set and backbone, a column for every fusion."""

    def __init__(self, metric: str) -> None:
        super().__init__(metric)
        self.live = Live(console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        """Start to draw."""
        self.live.start()
        return self

    def close(self) -> None:
        """Remove the table."""
        super().close()
        self.live.stop()

    def show(self, board: Board) -> None:
        """Draw the table anew."""
        self.live.update(progress_table(board))

    def finished(self, board: Board, cell: Cell, document: Mapping[str, Any], seconds: float) -> None:
        """Say nothing: the table shows it."""

    def tried(self, board: Board, group: Group, record: Mapping[str, Any]) -> None:
        """Say nothing: the table shows it."""


def make_progress(metric: str) -> Progress:
    """Return what suits stderr."""
    return (LiveProgress if Console(stderr=True).is_terminal else Progress)(metric)


def progress_table(board: Board) -> RenderableType:
    """Return the table of cells done, running and failed, with the time passed and left below."""
    rows: dict[tuple[str, str], dict[str, list[Cell]]] = {}
    columns: dict[str, None] = {}
    for cell in board.cells:
        column = " / ".join(filter(None, (cell.group.fusion, cell.group.tables))) or "baseline"
        columns.setdefault(column)
        rows.setdefault(cell.group[:2], {}).setdefault(column, []).append(cell)
    counts = board.count()
    words = ", ".join(f"{counts[state]} {state}" for state in ("done", "running", "waiting", "failed"))
    trials = sum(board.trials.values())
    more = f", {trials} trials to come" if trials else ""
    left = duration(board.time_left())
    caption = f"{words}{more}; {duration(board.elapsed())} passed, time left: {left}"
    table = Table()
    for name in ("data", "backbone", *columns):
        table.add_column(name)
    for (data, backbone), cells in rows.items():
        table.add_row(data, backbone, *(_counts(board.count(cells.get(c, [])), len(cells.get(c, []))) for c in columns))
    return Lines(table, caption)


def _counts(counts: Counter[Any], cells: int) -> str:
    """Return "2/3", followed by what runs and what failed."""
    if not cells:
        return ""
    more = [f"{counts[state]} {state}" for state in ("running", "failed") if counts[state]]
    return " ".join([f"{counts['done']}/{cells}", *more])


def _line(board: Board) -> str:
    counts = board.count()
    return f"[{counts['done'] + counts['failed']}/{len(board.cells)}] "


def _left(board: Board) -> str:
    counts, left = board.count(), board.time_left()
    over = counts["done"] + counts["failed"] == len(board.cells)
    return "" if over or left is None else f", about {duration(left)} left"
