"""The progress of long jobs: one protocol that every job reports to, and its rendering on stderr.

A job that knows its extent calls `start`; the loops inside it call `advance` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from mltfr.storage.terminal import printable

if TYPE_CHECKING:
    from rich import progress as rich_progress

QUIET_SECONDS = 30.0
"""Without a terminal a task that goes on is told after so many seconds without a line."""


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
    """Messages as lines on stderr; the current task as a bar on a terminal, elsewhere as a line every 30 seconds.

    Args:
        label: put before every line and task.
    """

    def __init__(self, label: str = "") -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self.label = f"{label} " if label else ""
        self._bar: rich_progress.Progress | None = None
        self._task = ""
        self._said: float | None = None

    def start(self, task: str, total: int | None = None, done: int = 0, unit: str = "") -> None:
        """Show a new bar with its steps and the time left; `unit` is what lines call the steps ("batches")."""
        self.close()
        if not self.console.is_terminal:
            self._task, self._total, self._done, self._unit = task, total, done, unit and f" {unit}"
            self._first: tuple[float, int] | None = None
            self._said = self.console.get_time() if self._said is None else self._said
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        self._bar.add_task(printable(self.label + task), total=total, completed=done)
        self._bar.start()

    def advance(self, steps: int = 1) -> None:
        """Move the bar, or print a line if none was printed for long."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], steps)
        elif self._task and self._said is not None:
            self._done += steps
            now = self.console.get_time()
            self._first = self._first or (now, self._done)  # the first step may warm up
            if now - self._said >= QUIET_SECONDS:
                self.message(f"{self._task}: {self._steps(now, *self._first)}")

    def message(self, text: str) -> None:
        """Print a line, above the bar."""
        self.console.print(printable(self.label + text), markup=False)
        self._said = self.console.get_time()

    def close(self) -> None:
        """Remove the bar."""
        self._task = ""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _steps(self, now: float, begun: float, first: int) -> str:
        """Return the steps done of all, and the seconds left at the pace since the first step."""
        if self._total is None:
            return f"{self._done}{self._unit} so far"
        text = f"{self._done} of {self._total}{self._unit}"
        if self._done == first:
            return text
        left = (self._total - self._done) * (now - begun) / (self._done - first)
        return f"{text}, about {left:.0f} s left"


def show_progress(quiet: bool = False, label: str = "") -> Progress:
    """Return progress that is shown on stderr, or, if `quiet`, not at all."""
    return SILENT if quiet else ConsoleProgress(label)
