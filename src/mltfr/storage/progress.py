"""The progress of long jobs: one protocol that every job reports to, and its rendering on stderr.

A job that knows its extent calls `start`; the loops inside it call `advance` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from mltfr.storage.duration import duration
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
        self._task, self._total, self._done, self._unit = task, total, done, unit and f" {unit}"
        self._first: tuple[float, int] | None = None
        self._said = self.console.get_time() if self._said is None else self._said
        if not self.console.is_terminal:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        left = TextColumn("{task.fields[left]}", style="progress.remaining")
        self._bar = Progress(*columns, left, console=self.console, transient=True)
        self._bar.add_task(printable(self.label + task), total=total, completed=done, left="")
        self._bar.start()

    def advance(self, steps: int = 1, left: float | None = None) -> None:
        """Move the bar, or print a line if none was printed for long.

        Args:
            steps: steps that are done.
            left: seconds that the rest takes; if not given, at the pace since the task's first step.
        """
        if not self._task or self._said is None:
            return
        self._done += steps
        now = self.console.get_time()
        self._first = self._first or (now, self._done)  # the first step may warm up
        left = self._left(now, *self._first) if left is None else left
        words = "" if left is None else f"{duration(left)} left"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=steps, left=words)
        elif now - self._said >= QUIET_SECONDS:
            done = f"{self._done}{self._unit} so far"
            if self._total is not None:
                done = f"{self._done} of {self._total}{self._unit}"
            self.message(f"{self._task}: {done}" + (f", about {words}" if words else ""))

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

    def _left(self, now: float, begun: float, first: int) -> float | None:
        """Return the seconds left at the pace since the first step; None if not known."""
        if self._total is None or self._done == first:
            return None
        return (self._total - self._done) * (now - begun) / (self._done - first)


def show_progress(quiet: bool = False, label: str = "") -> Progress:
    """Return progress that is shown on stderr, or, if `quiet`, not at all."""
    return SILENT if quiet else ConsoleProgress(label)
