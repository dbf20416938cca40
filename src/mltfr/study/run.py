"""A study from its file to its tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

from mltfr.pipeline.folder import write_text
from mltfr.storage.lock import locked
from mltfr.study.board import Board
from mltfr.study.config import StudyConfig, check_files, load_study
from mltfr.study.folder import STUDY, StudyFolder
from mltfr.study.material import Material
from mltfr.study.notes import notes_on, resolved
from mltfr.study.plan import Cell, Group, make_plan
from mltfr.study.progress import Progress, make_progress
from mltfr.study.results import gather
from mltfr.study.scheduler import Scheduler
from mltfr.study.selection import select
from mltfr.study.tuning import GroupTuning
from mltfr.study.worker import Launch, Worker

SUMMARY = "summary.md"


@dataclass(frozen=True)
class Outcome:
    """How a study ended.

    Attributes:
        cells: number of the cells that were to run.
        done: how many of them are finished.
        failures: what went wrong, by cell.
        stopped: whether it was asked to stop before its end.
        summary: the file with all tables; None where there is no result yet.
    """

    cells: int
    done: int
    failures: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    summary: Path | None = None


def run_study(
    file: Path,
    out: Path,
    *,
    resume: bool = False,
    jobs: int | None = None,
    only: Sequence[str] = (),
    data: Mapping[str, Path] | None = None,
    stop: Event | None = None,
    launch: Launch = Worker,
) -> Outcome:
    """Run the cells of a study that are not finished yet, and write the tables of all that are.

    Args:
        file: the study file.
        out: the study folder.
        resume: continue a study that is there.
        jobs: processes at once; as many as the cores allow if not given.
        only: `AXIS=LABEL,LABEL` texts that choose the cells to run this time; all of them if none is given.
        data: interaction logs by the label of their data set, instead of those that the study file names.
        stop: when set, the cells at work write checkpoints, and nothing new begins.
        launch: starts the process of a cell; by default on this machine.

    Raises:
        ConfigError: the study file is wrong.
        DataError: a data set is not a usable log.
        FetchError: a data set or a token table cannot be fetched.
        MissingExtraError: the study tunes, and Optuna is not installed.
        RunError: `out` holds something else, or was made from other settings; or another process is at work in it.
        OutputError: `out` cannot be written.
    """
    study = load_study(file, data)
    plan = make_plan(study)
    cells = select(plan, only)
    labels = list(dict.fromkeys(cell.group.data for cell in cells))
    check_files(study, labels)
    stop = stop or Event()
    folder = StudyFolder(out, resume)
    with locked(folder.path):
        with make_progress(study.metrics[0]) as progress:
            material = Material(study, labels, progress)
            board = Board(cells, jobs or default_jobs(study.threads))
            tunings = _tunings(study, cells, folder, material)
            _look(board, folder, material, tunings, progress)
            write_text(folder.path / STUDY, resolved(file, study, plan, material))
            Scheduler(folder, material, tunings, board, progress, stop, launch).run()
        done = board.count()["done"]
        if stop.is_set() and done + len(board.failures) < len(cells):
            return Outcome(len(cells), done, board.failures, stopped=True)
        if not gather(folder.path, plan):
            return Outcome(len(cells), done, board.failures)
        from mltfr.report.write import write_report

        notes = notes_on(study, cells, tunings, board.failures)
        write_report(folder.path, study.title, study.metrics, study.compare_with, study.test, notes)
    return Outcome(len(cells), done, board.failures, summary=folder.path / SUMMARY)


def default_jobs(threads: int) -> int:
    """Return how many processes the cores that this process may use allow."""
    usable: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    cores = len(usable(0)) if usable is not None else os.cpu_count() or 1
    return max(1, cores // threads)


def _tunings(
    study: StudyConfig, cells: Sequence[Cell], folder: StudyFolder, material: Material
) -> dict[Group, GroupTuning]:
    if study.tuning is None:
        return {}
    groups = {cell.group: cell.config for cell in reversed(cells) if not cell.baseline}
    return {
        group: GroupTuning(folder.tuning, group, config, study.tuning, partial(material.trial_task, group))
        for group, config in groups.items()
    }


def _look(
    board: Board,
    folder: StudyFolder,
    material: Material,
    tunings: dict[Group, GroupTuning],
    progress: Progress,
) -> None:
    """Mark what is finished already, and see that it belongs to this study, before anything is started."""
    for cell in board.cells:
        tuning = tunings.get(cell.group)
        if tuning is not None and not tuning.done:
            continue
        ready = cell if tuning is None else tuning.tuned(cell)
        if folder.is_done(ready, material.cell_task(ready)):
            board.states[cell.name] = "done"
            board.seconds[cell.group].append(float((folder.result(cell) or {})["seconds"]))
    board.trials = {group: tuning.trials - len(tuning.records) for group, tuning in tunings.items()}
    if done := board.count()["done"]:
        progress.message(f"{done} of {len(board.cells)} cells are finished already.")
