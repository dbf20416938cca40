"""What a search shows while it runs: a line for everything that has ended, and the leaderboard so far."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mltfr.search.folder import LEADERBOARD
from mltfr.search.journal import Journal
from mltfr.search.rows import TRIAL, Row, name_of, write_board
from mltfr.storage.child import Ended
from mltfr.storage.duration import duration
from mltfr.storage.progress import Progress
from mltfr.study.cell import Cell, Group
from mltfr.study.folder import CELLS
from mltfr.study.job import DONE, PAUSED, STOPPED
from mltfr.study.progress import StudyProgress
from mltfr.study.schedule import Schedule


class SearchProgress(StudyProgress):
    """Writes processes into the journal, and reports what has ended, in the leaderboard too.

    Args:
        progress: shows the lines and the steps.
        schedule: the state of this part of the search.
        metric: the metric that decides.
        journal: the journal.
        board: returns the rows of what there is so far, best first.
        failed: called after a failure.

    Attributes:
        overdue: whether what has not ended is killed.
        cut: whether that has ended the last process.
    """

    def __init__(
        self,
        progress: Progress,
        schedule: Schedule,
        metric: str,
        journal: Journal,
        board: Callable[[], list[Row]],
        failed: Callable[[], None],
    ) -> None:
        super().__init__(progress, schedule, metric)
        self.overdue = self.cut = False
        self.journal, self.board, self.after_a_failure = journal, board, failed

    def process_began(self, run: Path) -> None:
        """Note that a process has begun."""
        self.journal.began(run)

    def process_ended(self, run: Path, ended: Ended) -> None:
        """Record a process that has ended, and whether it failed."""
        self.cut = self.overdue and ended.code == -signal.SIGKILL
        failed = ended.code not in (DONE, PAUSED, STOPPED) and not self.cut
        self.journal.ended(run, ended.code, ended.last_error if failed else None)

    def ended(self, cell: Cell, run: Path, seconds: float) -> None:
        """Report the score and place of a run that has ended or paused."""
        rows = self.board()
        place, row = next((place, row) for place, row in enumerate(rows, 1) if row.run == f"{CELLS}/{cell.name}")
        epochs = f" after {row.epochs} epochs" if cell.is_trained else ""
        scored = sum(other.value is not None for other in rows)
        value = f"{row.value:.4f}" if row.value is not None else "not validated yet"
        self._step(
            f"{row.name}: validation {self.metric} {value}{epochs} ({duration(seconds)}), place {place} of {scored}"
        )

    def failed(self, cell: Cell, last_error: str) -> None:
        """Report the last error of a failure."""
        if self.cut:
            self._step(f"{name_of(cell)}: stays as it was, since it had not ended when the time was over")
            return
        self._step(f"{name_of(cell)}: failed: {last_error}")
        self.after_a_failure()

    def tried(self, group: Group, record: Mapping[str, Any]) -> None:
        """Report the score and place of a trial."""
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

    def _step(self, text: str) -> None:
        """Report what has ended, and write the leaderboard so far: a search that is killed leaves it."""
        super()._step(text)
        write_board(self.board(), self.journal.folder / LEADERBOARD)
