"""The progress of long jobs: one protocol that every job reports to, and its rendering on stderr.

A job that knows its extent calls `start`; the loops inside it call `advance` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from mltfr.storage.terminal import printable

if TYPE_CHECKING:
    from rich import progress as rich_progress


class Progress:
    """Receives the progress of a job, and ignores it; subclasses show it.

    It is a context manager that closes itself.
    """

    def start(self, task: str, total: int | None = None, done: int = 0) -> None:
        """Begin a task, which replaces the one before.

        Args:
            task: what is done now ("evaluating").
            total: its number of steps; None if not known.
            done: steps that were done before.
        """

    def advance(self, steps: int = 1) -> None:
        """Count steps of the current task as done."""

    def message(self, text: str) -> None:
        """Show one line."""

    def close(self) -> None:
        """End the current task; another one may be started afterwards."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


SILENT = Progress()
"""Shows nothing."""


class ConsoleProgress(Progress):
    """Messages as lines on stderr, and a bar for the current task where stderr is a terminal.

    Args:
        label: put before every line and task.
    """

    def __init__(self, label: str = "") -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self.label = f"{label} " if label else ""
        self._bar: rich_progress.Progress | None = None

    def start(self, task: str, total: int | None = None, done: int = 0) -> None:
        """Show a new bar with its steps and the time left."""
        self.close()
        if not self.console.is_terminal:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        self._bar.add_task(printable(self.label + task), total=total, completed=done)
        self._bar.start()

    def advance(self, steps: int = 1) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], steps)

    def message(self, text: str) -> None:
        """Print a line, above the bar."""
        self.console.print(printable(self.label + text), markup=False)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def show_progress(quiet: bool = False, label: str = "") -> Progress:
    """Return progress that is shown on stderr, or, if `quiet`, not at all."""
    return SILENT if quiet else ConsoleProgress(label)
