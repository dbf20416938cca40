"""Runs the cells in processes, several at once, each group's search before its cells."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event

from mltfr.errors import ConfigError
from mltfr.study.board import Board
from mltfr.study.folder import StudyFolder, tidy
from mltfr.study.material import Material
from mltfr.study.plan import Cell, Group
from mltfr.study.process import DONE, REFUSED, STOPPED
from mltfr.study.progress import Progress
from mltfr.study.task import write_task
from mltfr.study.tuning import GroupTuning
from mltfr.study.worker import Job, Launch, Worker

TICK = 0.05
"""Seconds between two looks at the processes."""


@dataclass
class Running:
    """A process with what it is for.

    Attributes:
        worker: the process.
        cell: the cell that it makes, or the first one that waits for its trial.
        tuning: the search that its trial belongs to; None for a cell.
    """

    worker: Job
    cell: Cell
    tuning: GroupTuning | None = None

    @property
    def key(self) -> str:
        """Name on the board."""
        return self.cell.group.name if self.tuning is not None else self.cell.name


class Scheduler:
    """Keeps up to `board.jobs` processes at work.

    Args:
        folder: the study folder.
        material: makes tasks.
        tunings: the search of every group; empty without tuning.
        board: the state of the cells; finished ones are marked already.
        progress: shows it.
        stop: when set, the processes write checkpoints and end, and nothing new begins.
        launch: starts a process; by default on this machine.
    """

    def __init__(
        self,
        folder: StudyFolder,
        material: Material,
        tunings: Mapping[Group, GroupTuning],
        board: Board,
        progress: Progress,
        stop: Event,
        launch: Launch = Worker,
    ) -> None:
        self.start_worker = launch
        self.folder, self.material, self.tunings = folder, material, tunings
        self.board, self.progress, self.stop = board, progress, stop
        self.running: list[Running] = []

    def run(self) -> None:
        """Work until everything is done or failed, or a stop is asked for.

        Raises:
            RunError: a cell that is there already belongs to other settings.
        """
        try:
            while True:
                if self.stop.is_set():
                    for each in self.running:
                        each.worker.ask_to_stop()
                else:
                    self._start()
                if not self.running:
                    return
                time.sleep(TICK)
                for each in [each for each in self.running if each.worker.code() is not None]:
                    self.running.remove(each)
                    self._ended(each)
                self.progress.show(self.board)
        finally:
            for each in self.running:  # after an error, or a second Ctrl-C
                each.worker.kill()

    def _start(self) -> None:
        for cell in self.board.waiting():
            if len(self.running) >= self.board.jobs:
                return
            tuning = self.tunings.get(cell.group)
            if tuning is None or tuning.done:
                self._start_cell(cell if tuning is None else tuning.tuned(cell))
            elif not any(each.tuning is tuning for each in self.running):
                self._start_trial(cell, tuning)

    def _start_cell(self, cell: Cell) -> None:
        task = self.material.cell_task(cell)
        if self.folder.is_done(cell, task):
            self.board.states[cell.name] = "done"
            return
        folder = self.folder.of(cell)
        write_task(folder, task)
        self.board.states[cell.name] = "running"
        self._launch(Running(self.start_worker("mltfr.study.cell", folder, self.material.study.threads), cell))

    def _start_trial(self, cell: Cell, tuning: GroupTuning) -> None:
        while not tuning.done:
            try:
                task = tuning.next()
            except ConfigError as error:
                tuning.tell(None, error=str(error))
                self.board.trials[cell.group] -= 1
                continue
            folder = tuning.make_room(task)
            worker = self.start_worker("mltfr.study.trial", folder, self.material.study.threads)
            self._launch(Running(worker, cell, tuning))
            return

    def _launch(self, running: Running) -> None:
        self.running.append(running)
        self.board.begin(running.key, running.cell.group)

    def _ended(self, running: Running) -> None:
        code, seconds = running.worker.code(), self.board.end(running.key)
        if code == DONE:
            self.board.seconds[running.cell.group].append(seconds)
        if running.tuning is not None:
            self._trial_ended(running, running.tuning, code)
        elif code == DONE:
            tidy(running.worker.folder, self.material.study.keep_runs)
            self.board.states[running.cell.name] = "done"
            self.progress.finished(self.board, running.cell, self.folder.result(running.cell) or {}, seconds)
        elif code == STOPPED:
            del self.board.states[running.cell.name]
        else:
            self._fail([running.cell], running.worker.complaint())

    def _trial_ended(self, running: Running, tuning: GroupTuning, code: int | None) -> None:
        if code == STOPPED:
            return
        if code not in (DONE, REFUSED):
            cells = [cell for cell in self.board.waiting() if cell.group == tuning.group]
            self._fail(cells, f"trial {len(tuning.records)} of its search: {running.worker.complaint()}")
            self.board.trials[tuning.group] = 0
            return
        if code == DONE:
            tuning.tell_result(running.worker.folder)
        else:
            tuning.tell(None, error=running.worker.complaint())
        shutil.rmtree(running.worker.folder, ignore_errors=True)
        self.board.trials[tuning.group] -= 1
        self.progress.tried(self.board, tuning.group, tuning.records[-1])

    def _fail(self, cells: list[Cell], message: str) -> None:
        for cell in cells:
            self.board.states[cell.name] = "failed"
            self.board.failures[cell.name] = message
            self.progress.failed(self.board, cell, message)
