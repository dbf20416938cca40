"""What every search does: its folder and journal, its inputs, the work, and the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from mltfr.config import differences, dump_toml, load_toml
from mltfr.errors import MltfrError, RunError
from mltfr.interactions import Split
from mltfr.pipeline.inputs import check_files
from mltfr.pipeline.refit import check_refit
from mltfr.search.arms import DATA, baselines_in_time
from mltfr.search.check import check_inputs
from mltfr.search.clock import Clock, at_the_end
from mltfr.search.finish import finish
from mltfr.search.folder import BEST, LEADERBOARD, REFITTED, SEARCH, check_search, open_search
from mltfr.search.inputs import SearchInputs
from mltfr.search.journal import REMEDY, Journal
from mltfr.search.refit import refit_best
from mltfr.search.report import write_search_page
from mltfr.search.request import Outcome, Request
from mltfr.search.rows import Row, name_of, read_board
from mltfr.search.work import Aborted, Work
from mltfr.storage.duration import duration
from mltfr.storage.files import write_text
from mltfr.storage.folder import MANIFEST, damaged
from mltfr.storage.progress import Progress, show_progress
from mltfr.study.cell import Cell
from mltfr.study.config import StudyConfig
from mltfr.study.fingerprint import files_of
from mltfr.study.launch import Launch
from mltfr.study.plan import make_plan
from mltfr.study.run import default_jobs

Search = Callable[[Work, Sequence[Cell], Sequence[Cell], str], str]
"""Does the work before the choice, given the plan, those of its baselines that are tried, and what is said of them;
returns what the search was about."""


def run_search(
    study: StudyConfig,
    request: Request,
    out: Path,
    search: Search,
    resume: bool,
    stop: Event | None,
    began: float | None,
    launch: Launch,
    kind: str | None = None,
) -> Outcome:
    """Run a search, from the folder to the report; see `auto` for what it raises.

    Args:
        study: the grid that it begins with.
        request: what is searched, and for how long.
        out: the search folder.
        search: the work.
        resume: continue a search that is there; its time is that of all commands together.
        stop: when set, the trainings at work write checkpoints, and nothing new begins.
        began: moment of the monotonic clock at which the command began; now if not given.
        launch: trains a run in a process.
        kind: kind of the rows among which is chosen; None for all, and a blend of them.
    """
    clock, metric, stop = Clock(request.seconds, began=began), study.metrics[0], stop or Event()
    starting = clock.spent
    plan = make_plan(study)
    if request.refit:
        check_refit(plan[-1].config)
    check_search(out, resume)
    check_files(plan[-1].config)
    with show_progress() as progress:
        inputs = SearchInputs(study, [DATA], progress)
        data = check_inputs(inputs, plan, request.tokens)
        with open_search(out, resume) as folder:
            journal = Journal(folder.path, clock)
            _check_same(folder.path, study, plan, request, inputs, journal)
            over = (out / LEADERBOARD).exists() and (out / BEST / MANIFEST).exists()
            if over and (found := journal.find("found")) is not None:
                return _with_refit(_shown_again(out, request, found), request, out, data, progress, stop)
            baselines, skipped = baselines_in_time([cell for cell in plan if cell.baseline], data, request.seconds)
            jobs = request.jobs or default_jobs(request.threads)
            work = Work(folder, inputs, clock, journal, metric, jobs, progress, stop, launch,
                        starting, request.on_error == "abort")  # fmt: skip
            with journal.beating():
                try:
                    about = search(work, plan, baselines, _about(request, baselines, skipped, jobs))
                except Aborted:
                    rows = work.rows()
                    return Outcome(rows, failures=_failures(rows), aborted=True)
                outcome = _ended(work, about, request, kind)
            return _with_refit(outcome, request, out, data, progress, stop)


def _ended(work: Work, about: str, request: Request, kind: str | None) -> Outcome:
    """Choose among what there is, score test, and write best run, leaderboard and report.

    Raises:
        RunError: there is nothing to choose among.
    """
    folder, clock, rows = work.folder.path, work.clock, work.rows()
    finished = [row for row in rows if row.state == "finished"]
    if not any(kind in (None, row.kind) for row in finished):
        errors = "".join(f" {name}: {error}." for name, error in _failures(rows).items())
        there = f"there are {', '.join(row.name for row in finished)}" if finished else "there is nothing"
        raise RunError(
            f"{folder}: no {kind or 'run'} was finished in {duration(request.seconds)}; {there}.{errors} Go on "
            "with the same command, --resume and more --time."
        )
    work.progress.close()
    found = finish(folder, rows, work.metric, clock, work.progress, kind)
    write_search_page(folder, found, about)
    lines = [*found.lines, f"It took {duration(clock.spent)} of {duration(request.seconds)}."]
    recommended = found.cheap.run if found.cheap is not None else None
    work.journal.add("found", lines=lines, seconds=request.seconds, recommended=recommended)
    return Outcome(found.rows, lines, _failures(found.rows), recommended=recommended)


def _with_refit(
    outcome: Outcome, request: Request, folder: Path, data: Split, progress: Progress, stop: Event
) -> Outcome:
    """Return what came of a search, with what is chosen fitted anew to all of the log, where that is asked for.

    An error of the refit is told as a failure: the search is over, and what it found is there.
    """
    if not request.refit:
        return outcome
    try:
        said = refit_best(folder, outcome.rows, request.metric, data, progress, stop)
    except MltfrError as error:
        return replace(outcome, failures={**outcome.failures, REFITTED: str(error)})
    return replace(outcome, lines=[*outcome.lines, said], refitted=REFITTED)


def _shown_again(out: Path, request: Request, found: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a search that is finished."""
    rows, more = read_board(out / LEADERBOARD), []
    if request.seconds > found["seconds"]:
        more = [f"This search is finished already; for more time choose another --out ({out})."]
    return Outcome(rows, [*found["lines"], *more], _failures(rows), recommended=found["recommended"])


def _check_same(
    folder: Path, study: StudyConfig, plan: Sequence[Cell], request: Request, inputs: SearchInputs, journal: Journal
) -> None:
    """Write what is searched, or check that it is what the folder was begun with, wherever the log lies now.

    Raises:
        RunError: it is something else.
    """
    names = [files_of(cell.config.model_dump(mode="json")) for cell in plan]
    begun = {
        "preset": request.preset,
        "trials": request.trials,
        "log": inputs.fingerprints[DATA],
        "files": {key: content for files in names for key, content in files.items()},
    }
    path = folder / SEARCH
    known = journal.find("begun")
    if known is None or not path.exists():
        write_text(path, dump_toml(study))
        journal.add("begun", **begun)
        return
    if known["log"] != begun["log"]:
        raise RunError(f"{folder}: was begun with a log of other content. Give that one, or choose another --out.")
    before = load_toml(path) | {key: known[key] for key in begun}
    now = study.model_dump(mode="json", exclude_none=True) | begun
    with damaged(path, RunError, REMEDY):
        for of_study in (before, now):
            del of_study["data"][DATA]["file"]
    other = next(iter(differences(before, now)), None)
    if other is not None:
        raise RunError(
            f"{folder}: holds another search ({other}). Give the same options to the same version, or "
            "choose another --out."
        )


def _failures(rows: Sequence[Row]) -> dict[str, str]:
    return {row.name: row.error for row in rows if row.error is not None}


def _about(request: Request, baselines: Sequence[Cell], skipped: dict[str, float], jobs: int) -> str:
    """Return what the time will be spent on first, and what is kept for the end."""
    left_out = "; ".join(f"{name} would take about {duration(seconds)}" for name, seconds in skipped.items())
    return (
        f"{duration(request.seconds)}, {jobs} at once, at least {duration(at_the_end(request.seconds))} of it for the "
        f"end: {len(baselines)} baselines ({', '.join(map(name_of, baselines))}"
        f"{f'; left out: {left_out}' if left_out else ''})"
    )
