"""Runs a study, from its file to its tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

from mltfr.errors import RunError
from mltfr.pipeline.restore import WEIGHTS
from mltfr.storage.files import write_text
from mltfr.storage.progress import show_progress
from mltfr.study.arms import members_of, needed
from mltfr.study.cell import Cell, Group
from mltfr.study.config import StudyConfig, check_files, load_study
from mltfr.study.folder import STUDY, StudyFolder, clean_up_all, open_study
from mltfr.study.inputs import StudyInputs
from mltfr.study.launch import Launch, launch
from mltfr.study.nameless import baselines_left_out, check_name_files, nameless_notes
from mltfr.study.notes import data_notes, notes_on, resolved, samples_notes
from mltfr.study.outlook import look_ahead
from mltfr.study.plan import left_out, make_plan
from mltfr.study.progress import StudyProgress
from mltfr.study.results import gather, read_run
from mltfr.study.runner import Runner
from mltfr.study.schedule import Schedule
from mltfr.study.selection import select
from mltfr.study.tuning import GroupTuning
from mltfr.study.winner import Winner, find_winners
from mltfr.threads import usable_cores
from mltfr.training import make_trackers

SUMMARY = "summary.md"


@dataclass(frozen=True)
class Outcome:
    """Outcome of `run_study`.

    Attributes:
        cells: number of the cells that were to run.
        done: number of finished ones.
        failures: last error by cell.
        stopped: whether it was asked to stop before its end.
        summary: the file with all tables; None where there is no result yet.
        winners: what is best on validation, a data set each.
    """

    cells: int
    done: int
    failures: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    summary: Path | None = None
    winners: list[Winner] = field(default_factory=list)


def run_study(
    file: Path,
    out: Path,
    *,
    resume: bool = False,
    jobs: int | None = None,
    only: Sequence[str] = (),
    data: Mapping[str, Path] | None = None,
    names: Mapping[str, Path] | None = None,
    stop: Event | None = None,
    launch: Launch = launch,
) -> Outcome:
    """Run the cells of a study that are not finished yet, and write the tables of all that are.

    Args:
        file: the study file.
        out: the study folder.
        resume: continue a study that is there.
        jobs: processes at once; as many as the cores allow if not given.
        only: `AXIS=LABEL,LABEL` texts that choose the cells to run this time; all of them if none is given.
        data: interaction logs by the label of their data set, instead of those that the study file names.
        names: names of items by the label of their data set, likewise.
        stop: when set, the cells at work write checkpoints, and nothing new begins.
        launch: trains a run in a process; by default on this machine.

    Raises:
        ConfigError: the study file is wrong.
        DataError: a data set is not a usable log.
        FetchError: a data set or a token table cannot be fetched.
        MissingExtraError: the study tunes, and Optuna is not installed; or a tracker is not.
        RunError: `out` holds something else, or was made from other settings; or another process is at work in it.
        OutputError: `out` cannot be written.
    """
    study = load_study(file, data, names)
    plan = make_plan(study)
    cells = select(plan, only)
    labels = list(dict.fromkeys(cell.group.data for cell in cells))
    check_files(study, labels)
    check_name_files(cells)
    stop = stop or Event()
    with open_study(out, resume) as folder, show_progress() as progress:
        inputs = StudyInputs(study, labels, progress)
        if inputs.windows:  # their borders are known now
            plan = make_plan(study, inputs.windows)
            cells = select(plan, only)
        schedule = Schedule(cells, jobs or default_jobs(study.threads))
        tunings = _tunings(study, cells, folder, inputs)
        schedule.trials = {group: tuning.left for group, tuning in tunings.items()}
        kept = {cell.name for cell in plan} if study.keep_runs else needed(plan)
        _mark_finished(schedule, folder, inputs, tunings, kept)
        copy = folder.path / STUDY
        before = copy.read_text(encoding="utf-8") if copy.exists() else ""
        write_text(copy, resolved(file, study, plan, inputs, before))
        if schedule.waiting():
            make_trackers(name for cell in cells for name in cell.config.trackers)  # what is missing is told once
            for outlook in look_ahead(study, plan, inputs.fingerprints, folder, progress):
                progress.message(str(outlook))
        shown = StudyProgress(progress, schedule, study.metrics[0])
        shown.start()
        Runner(folder, inputs, tunings, schedule, shown, launch, stop, kept).run()
        progress.close()
        clean_up_all(folder, plan, study.keep_runs)
        done = schedule.count()["done"]
        if stop.is_set() and done + len(schedule.failures) < len(cells):
            return Outcome(len(cells), done, schedule.failures, stopped=True)
        if not gather(folder, plan):
            return Outcome(len(cells), done, schedule.failures)
        from mltfr.report.write import write_report

        notes = [*data_notes(folder, plan), *_nameless(study), *samples_notes(folder, plan)]
        notes += notes_on(study, cells, tunings, schedule.failures)
        asked = (study.title, study.metrics, study.compare_with, study.test)
        write_report(folder.path, *asked, notes, members_of(plan), study.contrasts)
        winners = find_winners(study, folder.path)
    return Outcome(len(cells), done, schedule.failures, summary=folder.path / SUMMARY, winners=winners)


def _nameless(study: StudyConfig) -> list[str]:
    return nameless_notes(left_out(study), baselines_left_out(study))


def default_jobs(threads: int) -> int:
    """Return how many processes the cores that this process may use allow."""
    return max(1, usable_cores() // threads)


def _tunings(
    study: StudyConfig, cells: Sequence[Cell], folder: StudyFolder, inputs: StudyInputs
) -> dict[Group, GroupTuning]:
    if study.tuning is None:
        return {}
    groups = {cell.group: cell.config for cell in reversed(cells) if cell.is_trained}
    return {
        group: GroupTuning(
            folder.tuning, group, config, study.tuning, study.metrics[0], partial(inputs.trial_spec, group)
        )
        for group, config in groups.items()
    }


def _mark_finished(
    schedule: Schedule,
    folder: StudyFolder,
    inputs: StudyInputs,
    tunings: dict[Group, GroupTuning],
    kept: Collection[str],
) -> None:
    """Mark the cells that are finished, and check that they belong to this study, before anything is started."""
    for cell in schedule.cells:
        tuning = tunings.get(cell.group)
        if tuning is not None and not tuning.done:
            continue
        if any(schedule.states.get(need.name) != "done" for need in cell.needs.values()):
            continue
        ready = cell if tuning is None else tuning.tuned(cell)
        if folder.is_done(ready, inputs.cell_spec(ready, folder.made_of(ready)), cell.name in kept):
            schedule.states[cell.name] = "done"
            schedule.seconds[cell.group].append(read_run(folder.run(cell)).manifest["wall_seconds"])
    for cell in schedule.waiting():
        for label, need in cell.needs.items():
            if need.name not in schedule.states or (folder.run(need) / WEIGHTS).exists():
                continue
            raise RunError(
                f"{folder.run(need)}: this cell is finished and keeps no weights, but {cell.group} is made of "
                f"'{label}'. Remove that folder, so that it is made again, or choose another --out."
            )
