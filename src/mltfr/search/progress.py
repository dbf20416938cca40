"""What a search shows while it runs: a line for everything that has ended, with its place so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mltfr.search.journal import Journal
from mltfr.search.rows import TRIAL, Row, name_of
from mltfr.storage.duration import duration
from mltfr.storage.progress import Progress
from mltfr.study.cell import Cell, Group
from mltfr.study.folder import CELLS
from mltfr.study.progress import StudyProgress
from mltfr.study.schedule import Schedule


class SearchProgress(StudyProgress):
    """Writes the journal, and reports what has ended.

    Args:
        progress: shows the lines and the steps.
        schedule: the state of this part of the search.
        metric: the metric that decides.
        journal: the journal.
        spent: returns the seconds that the search has taken.
        board: returns the rows of what there is so far, best first.
        failed: called after a failure.

    Attributes:
        overdue: whether what has not ended is killed.
    """

    def __init__(
        self,
        progress: Progress,
        schedule: Schedule,
        metric: str,
        journal: Journal,
        spent: Callable[[], float],
        board: Callable[[], list[Row]],
        failed: Callable[[], None],
    ) -> None:
        super().__init__(progress, schedule, metric)
        self.overdue = False
        self.journal, self.spent, self.board, self.after_a_failure = journal, spent, board, failed

    def ended(self, cell: Cell, run: Path, seconds: float) -> None:
        """Record a run that has ended or paused, and report its score and place."""
        self._record(cell, seconds)
        rows = self.board()
        place, row = next((place, row) for place, row in enumerate(rows, 1) if row.run == f"{CELLS}/{cell.name}")
        epochs = f" after {row.epochs} epochs" if cell.is_trained else ""
        scored = sum(other.value is not None for other in rows)
        value = f"{row.value:.4f}" if row.value is not None else "not validated yet"
        self._step(
            f"{row.name}: validation {self.metric} {value}{epochs} ({duration(seconds)}), place {place} of {scored}"
        )

    def failed(self, cell: Cell, last_error: str) -> None:
        """Record a failure, and report its last error."""
        if self.overdue:
            self._step(f"{name_of(cell)}: stays as it was, since it had not ended when the time was over")
            return
        self._record(cell, 0.0, last_error)
        self._step(f"{name_of(cell)}: failed: {last_error}")
        self.after_a_failure()

    def tried(self, group: Group, record: Mapping[str, Any]) -> None:
        """Record the end of a trial, and report its score and place."""
        self.journal.add("trial", self.spent(), trial=record["trial"])
        values = [row.value for row in self.board() if row.kind == TRIAL and row.value is not None]
        chosen = ", ".join(f"{key} = {value}" for key, value in record["settings"].items())
        if record["value"] is None:
            said = f"failed: {record['error']}"
        else:
            place = sum(value > record["value"] for value in values) + 1
            said = f"validation {self.metric} {record['value']:.4f} ({duration(record['seconds'])}), place {place}"
        self._step(f"trial {record['trial']}: {said}; {chosen}")
        if record["value"] is None:
            self.after_a_failure()

    def _record(self, cell: Cell, seconds: float, error: str | None = None) -> None:
        self.journal.add("run", self.spent(), run=cell.name, seconds=round(seconds, 3), error=error)
