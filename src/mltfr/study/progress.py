"""A study's progress: a line for every cell and trial with the time left, and the steps of a progress bar."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mltfr.storage.child import Ended
from mltfr.storage.duration import duration
from mltfr.storage.progress import Progress
from mltfr.study.cell import Cell, Group
from mltfr.study.results import read_run
from mltfr.study.schedule import Schedule


class StudyProgress:
    """Reports what has finished or failed.

    Args:
        progress: shows the lines and the steps.
        schedule: the state of the study.
        metric: the metric that decides.
    """

    def __init__(self, progress: Progress, schedule: Schedule, metric: str) -> None:
        self.progress, self.schedule, self.metric = progress, schedule, metric

    def start(self) -> None:
        """Report what an earlier command has finished."""
        done, trials = self.schedule.count()["done"], sum(self.schedule.trials.values())
        if done:
            self.progress.message(f"{done} of {len(self.schedule.cells)} cells are finished already.")
        self.progress.start("study", len(self.schedule.cells) + trials, done)

    def process_began(self, run: Path) -> None:
        """Hear that the process of a run, of a cell or a trial, has begun."""

    def process_ended(self, run: Path, ended: Ended) -> None:
        """Hear that it has ended, before anything else is made of it."""

    def ended(self, cell: Cell, run: Path, seconds: float) -> None:
        """Report the run of a cell whose process has ended as planned."""
        self.finished(cell, read_run(run).metrics["metrics"], seconds)

    def finished(self, cell: Cell, metrics: Mapping[str, float], seconds: float) -> None:
        """Report a cell's score and the time left."""
        score = f"{self.metric} {metrics[self.metric]:.4f}"
        self._step(f"{self._counts()}{cell.group}, seed {cell.seed}: {score} ({seconds:.1f} s){self._left()}")

    def failed(self, cell: Cell, last_error: str) -> None:
        """Report the last error of a cell."""
        self._step(f"{self._counts()}{cell.group}, seed {cell.seed}: failed: {last_error}")

    def tried(self, group: Group, record: Mapping[str, Any]) -> None:
        """Report a trial's score and the time left."""
        value = "failed" if record["value"] is None else f"validation {self.metric} {record['value']:.4f}"
        self._step(f"{group}, trial {record['trial']}: {value}{self._left()}")

    def _step(self, text: str) -> None:
        self.progress.message(text)
        self.progress.advance()

    def _counts(self) -> str:
        counts = self.schedule.count()
        return f"[{counts['done'] + counts['failed']}/{len(self.schedule.cells)}] "

    def _left(self) -> str:
        counts, left = self.schedule.count(), self.schedule.time_left()
        over = counts["done"] + counts["failed"] == len(self.schedule.cells)
        return "" if over or left is None else f", about {duration(left)} left"
