"""The work of a search: parts of it, each by the study's runner, until the time for training is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Timer

from mltfr.search.clock import Clock
from mltfr.search.inputs import SearchInputs
from mltfr.search.journal import Journal
from mltfr.search.progress import SearchProgress
from mltfr.search.rows import FLOOR, Row, board, in_order, scores_of
from mltfr.storage.child import Ended
from mltfr.storage.folder import MANIFEST
from mltfr.storage.progress import Progress
from mltfr.study.cell import Cell, Group
from mltfr.study.folder import StudyFolder
from mltfr.study.job import attempt, epochs_of
from mltfr.study.launch import Launch
from mltfr.study.runner import Runner
from mltfr.study.schedule import Schedule
from mltfr.study.tuning import GroupTuning
from mltfr.training import Interrupted

KILLED_AFTER = 0.5
"""Share of the time kept for the end after which processes that have not ended are killed."""
STARTS, BASELINES = 2.0, 3.0
"""Times of starting a process, and of fitting and validating the slowest baseline, that the end is expected to take."""


class Aborted(Exception):
    """A run has failed, and the search was to end then."""


@dataclass
class TimedSchedule(Schedule):
    """A schedule in which nothing begins once it is too late, or all trials are over.

    Attributes:
        clock: the time of the search; None where there is always time.
        tunings: the searches of settings; their best trial is kept, and no cell is trained with its settings.
    """

    clock: Clock | None = None
    tunings: Mapping[Group, GroupTuning] = field(default_factory=dict)

    def waiting(self) -> list[Cell]:
        """Return the cells that may still begin."""
        if self.clock is not None and not self.clock.may_begin:
            return []
        over = {group for group, tuning in self.tunings.items() if tuning.done}
        return [cell for cell in super().waiting() if cell.group not in over]


@dataclass
class Work:
    """A search at work.

    Attributes:
        folder: its folder.
        inputs: makes the specifications of runs.
        clock: its time.
        journal: its journal.
        metric: the metric that decides.
        jobs: processes at once.
        progress: shows lines and steps.
        stop: when set, the processes write checkpoints and end, and nothing new begins.
        launch: trains a run in a process and waits for its end.
        starting: seconds that this command took to start, as its processes will.
        abort: whether a failure ends the search.
        cells: everything that was begun, in the order in which it was planned.
        trials: returns the rows of the trials of a search of settings.
        aborted: whether it has ended because of a failure.
    """

    folder: StudyFolder
    inputs: SearchInputs
    clock: Clock
    journal: Journal
    metric: str
    jobs: int
    progress: Progress
    stop: Event
    launch: Launch
    starting: float = 0.0
    abort: bool = False
    cells: list[Cell] = field(default_factory=list)
    trials: Callable[[], list[Row]] = list
    aborted: bool = False

    def run(
        self,
        cells: Sequence[Cell],
        pause_after: int | None = None,
        late: bool = False,
        here: bool = False,
        tunings: Mapping[Group, GroupTuning] | None = None,
    ) -> None:
        """Run some cells, those that have not come so far yet, as long as there is time.

        Args:
            cells: the cells.
            pause_after: epoch after which trainings pause; None for their end.
            late: whether it is time to end: trainings then keep the best weights so far.
            here: whether they run in this process, one after the other: to start one takes longer than a baseline.
            tunings: the searches of their settings, whose trials run in their place.

        Raises:
            Interrupted: a stop was requested.
            Aborted: a run has failed, and that is to end the search.
            RunError: a run that is there was made from other settings.
        """
        self.cells += [cell for cell in cells if cell not in self.cells]
        waiting = [cell for cell in cells if not self._has_come_so_far(cell, pause_after)]
        clock, inputs = self.clock, self.inputs
        training_left = 0.0 if late else clock.training_left
        inputs.pause_after, inputs.until = pause_after, clock.moment(training_left)
        tunings = tunings or {}
        schedule = TimedSchedule(
            waiting, 1 if here else self.jobs, clock=None if late else clock, tunings=tunings,
            trials={group: tuning.left for group, tuning in tunings.items()},
        )  # fmt: skip
        shown = SearchProgress(self.progress, schedule, self.metric, self.journal, self.rows, self._after_a_failure)
        kept = {cell.name for cell in waiting}
        launch = launch_here if here else self.launch
        runner = Runner(self.folder, inputs, tunings, schedule, shown, launch, self.stop, kept)

        def kill() -> None:
            shown.overdue = True
            runner.kill.set()

        killer = Timer(max(0.0, training_left + KILLED_AFTER * (clock.left - training_left)), kill)
        killer.daemon = True
        killer.start()
        try:
            runner.run()
        finally:
            killer.cancel()
        self._measure_the_end()
        if self.aborted:
            raise Aborted
        if self.stop.is_set():
            raise Interrupted

    def run_baselines(self, cells: Sequence[Cell]) -> None:
        """Fit baselines in this process: popularity whatever the time, since test is scored beside it.

        Args:
            cells: the baselines.

        Raises:
            Interrupted, Aborted, RunError: see `run`.
        """
        floor = [cell for cell in cells if cell.group.backbone == FLOOR]
        self.run(floor, late=True, here=True)
        self.run([cell for cell in cells if cell not in floor], here=True)

    def rows(self) -> list[Row]:
        """Return the leaderboard so far."""
        return in_order([*board(self.folder, self.cells, self.metric, self.journal), *self.trials()])

    def score(self, cell: Cell, epochs: int | None = None) -> float | None:
        """Return the best validation score of a network's first epochs; None where it has none, or has failed."""
        scores = scores_of(self.folder.run(cell), self.metric, epochs)
        return max(scores) if scores and not self.journal.of_run(self.folder.run(cell)).failed else None

    def is_finished(self, cell: Cell) -> bool:
        """Return whether a cell is a finished run."""
        return (self.folder.run(cell) / MANIFEST).exists()

    def _has_come_so_far(self, cell: Cell, pause_after: int | None) -> bool:
        run = self.folder.run(cell)
        if self.is_finished(cell):
            self.folder.is_done(cell, self.inputs.cell_spec(cell), keep_runs=True)  # or it is another search's
            return True
        if (told := self.journal.of_run(run)).error is not None:
            return told.failed
        return pause_after is not None and epochs_of(run / "log.jsonl") >= pause_after

    def _measure_the_end(self) -> None:
        """Tell the clock how long the end will take, by what validating and starting processes have taken so far."""
        baselines = max((row.seconds for row in self.rows() if row.kind == "baseline"), default=0.0)
        self.clock.end_needs = STARTS * self.starting + BASELINES * baselines

    def _after_a_failure(self) -> None:
        if self.abort:
            self.aborted = True
            self.stop.set()


def launch_here(run: Path, threads: int, stop: Event, kill: Event) -> Ended:
    """Fit a run in this process: a baseline, which nothing can interrupt."""
    code, error = attempt(run, stop)
    return Ended(code, error.rpartition("\n")[2])
