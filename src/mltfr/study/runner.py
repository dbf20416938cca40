"""Trains the cells of a study in processes, several at once, each group's search before its cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from mltfr.errors import ConfigError
from mltfr.storage.child import Ended
from mltfr.study.cell import Cell, Group
from mltfr.study.folder import StudyFolder, clean_up
from mltfr.study.inputs import StudyInputs
from mltfr.study.job import DONE, PAUSED, REFUSED, STOPPED
from mltfr.study.launch import Launch
from mltfr.study.progress import StudyProgress
from mltfr.study.schedule import Schedule
from mltfr.study.spec import write_spec
from mltfr.study.tuning import GroupTuning


@dataclass(frozen=True)
class Job:
    """A process at work.

    Attributes:
        run: its run folder.
        cell: the cell that it trains, or the first one that waits for its trial.
        tuning: the search that its trial belongs to; None for a cell.
    """

    run: Path
    cell: Cell
    tuning: GroupTuning | None = None

    @property
    def name(self) -> str:
        """Name in the schedule."""
        return self.cell.name if self.tuning is None else self.cell.group.name


@dataclass
class Runner:
    """Keeps up to `schedule.jobs` processes at work.

    Attributes:
        folder: the study folder.
        inputs: makes the specifications of runs.
        tunings: the search of every group; empty without tuning.
        schedule: the state of the cells; finished ones are marked already.
        progress: told of what has finished or failed.
        launch: trains a run in a process and waits for its end.
        stop: when set, the processes write checkpoints and end, and nothing new begins.
        kept: names of the cells that keep their weights and data.
    """

    folder: StudyFolder
    inputs: StudyInputs
    tunings: Mapping[Group, GroupTuning]
    schedule: Schedule
    progress: StudyProgress
    launch: Launch
    stop: Event
    kept: Collection[str]

    def __post_init__(self) -> None:
        self.running: dict[Future[Ended], Job] = {}
        self.kill = Event()

    def run(self) -> None:
        """Work until everything is done or failed, or a stop is requested.

        Raises:
            RunError: a run that is there already was made from other settings.
        """
        with ThreadPoolExecutor(self.schedule.jobs) as pool:
            try:
                while True:
                    if not self.stop.is_set():
                        self._fill(pool)
                    if not self.running:
                        return
                    for future in wait(self.running, return_when=FIRST_COMPLETED).done:
                        self._ended(self.running.pop(future), future.result())
            finally:
                self.kill.set()  # what still runs after an error, or a second Ctrl-C

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        for cell in self.schedule.waiting():
            if len(self.running) >= self.schedule.jobs:
                return
            if not self._is_ready(cell):
                continue
            tuning = self.tunings.get(cell.group)
            if tuning is None or tuning.done:
                job = self._next_cell(cell if tuning is None else tuning.tuned(cell))
            elif not any(each.tuning is tuning for each in self.running.values()):
                job = self._next_trial(cell, tuning)
            else:
                continue
            if job is not None:
                self.schedule.begin(job.name, cell.group)
                self.progress.process_began(job.run)
                threads = self.inputs.study.threads
                self.running[pool.submit(self.launch, job.run, threads, self.stop, self.kill)] = job

    def _is_ready(self, cell: Cell) -> bool:
        """Return whether all is finished that a cell is made of; where that has failed, it fails, too."""
        for label, need in cell.needs.items():
            state = self.schedule.states.get(need.name)
            if state == "failed":
                self._fail([cell], f"'{label}', of which it is made, failed: {self.schedule.failures[need.name]}")
            if state != "done":
                return False
        return True

    def _next_cell(self, cell: Cell) -> Job | None:
        """Return the job of a cell, None where it is done already."""
        spec = self.inputs.cell_spec(cell, self.folder.made_of(cell))
        if self.folder.is_done(cell, spec, cell.name in self.kept):
            self.schedule.states[cell.name] = "done"
            return None
        self.schedule.states[cell.name] = "running"
        write_spec(self.folder.run(cell), spec)
        return Job(self.folder.run(cell), cell)

    def _next_trial(self, cell: Cell, tuning: GroupTuning) -> Job | None:
        """Return the job of a search's next trial; of the cell, where no settings are left to try."""
        while not tuning.done:
            try:
                spec = tuning.next()
            except ConfigError as error:
                tuning.tell(None, error=str(error))
                self.schedule.trials[cell.group] -= 1
                continue
            return Job(tuning.prepare(spec), cell, tuning)
        return self._next_cell(tuning.tuned(cell))

    def _ended(self, job: Job, ended: Ended) -> None:
        seconds = self.schedule.end(job.name)
        self.progress.process_ended(job.run, ended)
        if ended.code == DONE:
            self.schedule.seconds[job.cell.group].append(seconds)
        if job.tuning is not None:
            self._trial_ended(job, job.tuning, ended)
        elif ended.code == DONE:
            clean_up(job.run, job.cell.name in self.kept)
            self.schedule.states[job.cell.name] = "done"
            self.progress.ended(job.cell, job.run, seconds)
        elif ended.code == PAUSED:  # as far as it was to go this time
            self.schedule.states[job.cell.name] = "done"
            self.progress.ended(job.cell, job.run, seconds)
        elif ended.code == STOPPED:
            del self.schedule.states[job.cell.name]
        else:
            self._fail([job.cell], ended.last_error)

    def _trial_ended(self, job: Job, tuning: GroupTuning, ended: Ended) -> None:
        if ended.code == STOPPED or (tuning.alone and self.kill.is_set()):  # it is run again
            return
        if ended.code not in (DONE, REFUSED) and not tuning.alone:
            cells = [cell for cell in self.schedule.waiting() if cell.group == tuning.group]
            self._fail(cells, f"trial {len(tuning.records)} of its search: {ended.last_error}")
            self.schedule.trials[tuning.group] = 0
            return
        if ended.code == DONE:
            record = tuning.tell_result(job.run)
        else:
            record = tuning.tell(None, error=ended.last_error, again=ended.code != REFUSED)
        self.schedule.trials[tuning.group] -= 1
        self.progress.tried(tuning.group, record)

    def _fail(self, cells: list[Cell], last_error: str) -> None:
        for cell in cells:
            self.schedule.states[cell.name] = "failed"
            self.schedule.failures[cell.name] = last_error
            self.progress.failed(cell, last_error)
