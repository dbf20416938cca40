"""From a log to the best recommender that the time allows: everything is chosen on validation, test is scored once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from threading import Event

from mltfr.config import differences, dump_toml, load_toml
from mltfr.errors import ConfigError, RunError
from mltfr.pipeline.inputs import check_files, split_log
from mltfr.search.arms import DATA, PRESETS, Preset, baselines_in_time, drawn, networks, search_study
from mltfr.search.clock import Clock, at_the_end
from mltfr.search.finish import finish
from mltfr.search.folder import LEADERBOARD, SEARCH, check_search, open_search
from mltfr.search.halving import how_many, promoted
from mltfr.search.inputs import SearchInputs
from mltfr.search.journal import Journal
from mltfr.search.report import write_search_page
from mltfr.search.request import Outcome, Request
from mltfr.search.rows import Row, name_of, read_board
from mltfr.search.work import Aborted, Work
from mltfr.storage.duration import duration
from mltfr.storage.files import write_text
from mltfr.storage.progress import show_progress
from mltfr.study.cell import Cell
from mltfr.study.config import StudyConfig
from mltfr.study.data import open_log
from mltfr.study.launch import Launch, launch
from mltfr.study.plan import make_plan
from mltfr.study.run import default_jobs

PAUSED_THAT_END = 3
"""Paused networks that are made runs of at the end, at most, as they are: members of a blend may be among them."""
CLOSE = 0.9
"""Share of the best network's score that they need."""
BASELINES_BESIDE = 3.0
"""Times of the slowest baseline's process that the end of a search takes, at least."""


def auto(
    request: Request,
    out: Path,
    *,
    resume: bool = False,
    stop: Event | None = None,
    began: float | None = None,
    launch: Launch = launch,
) -> Outcome:
    """Find the best recommender for a log: baselines, networks by successive halving, a blend of at most five.

    Args:
        request: what is searched, and for how long.
        out: the search folder.
        resume: continue a search that is there; its time is that of all commands together.
        stop: when set, the trainings at work write checkpoints, and nothing new begins.
        began: moment of the monotonic clock at which the command began; now if not given.
        launch: trains a run in a process; by default on this machine.

    Raises:
        ConfigError: something in the settings is unknown or does not fit together, or nothing is held out to choose by.
        DataError: the log is not usable.
        FetchError: a token table cannot be fetched.
        Interrupted: `stop` was set.
        RunError: `out` holds something else, or another search; or nothing could be fitted.
        OutputError: `out` cannot be written.
    """
    clock = Clock(request.seconds, began=began)
    preset = PRESETS[request.preset]
    study = search_study(
        request.data, request.settings, preset, request.metric, request.tokens, request.seed, request.threads
    )
    plan = make_plan(study)
    check_search(out, resume)
    check_files(plan[-1].config)
    with open_search(out, resume) as folder, show_progress() as progress:
        journal = Journal(folder.path)
        clock.before = journal.spent
        if (out / LEADERBOARD).exists() and (found := journal.find("found")) is not None:
            return Outcome(read_board(out / LEADERBOARD), found["lines"])
        _check_same(folder.path, study, request, journal)
        inputs = SearchInputs(study, [DATA], progress)
        _, data, _ = split_log(plan[-1].config, open_log(study.data[DATA], plan[-1].config.filters))
        if not len(data.validation):
            raise ConfigError(
                "The validation split is empty, so nothing can be chosen. Give a log with longer histories, or another "
                "split (--set split.method=global-time)."
            )
        jobs = request.jobs or default_jobs(request.threads)
        baselines, skipped = baselines_in_time([cell for cell in plan if cell.baseline], data, request.seconds)
        first = networks(plan, preset)
        about = _about(request, preset, baselines, skipped, first, jobs)
        progress.message(about)
        work = Work(folder, inputs, clock, journal, study.metrics[0], jobs, progress, stop or Event(), launch,
                    request.on_error == "abort")  # fmt: skip
        try:
            work.run(baselines, here=True)
            clock.end_needs = BASELINES_BESIDE * max((row.seconds for row in work.rows()), default=0.0)
            _halve(work, first, preset, request)
            _end_paused(work)
        except Aborted:
            rows = work.rows()
            return Outcome(rows, failures=_failures(rows), aborted=True)
        rows = work.rows()
        if not any(row.state == "finished" for row in rows):
            errors = "; ".join(f"{name}: {error}" for name, error in _failures(rows).items())
            raise RunError(f"{out}: nothing could be fitted in the time ({errors or 'give more --time'}).")
        progress.close()
        ended = finish(folder.path, rows, study.metrics[0], clock, progress)
        write_search_page(folder.path, ended, about)
        lines = [*ended.lines, f"It took {duration(clock.spent)} of {duration(request.seconds)}."]
        journal.add("found", clock.spent, lines=lines)
        return Outcome(ended.rows, lines, _failures(ended.rows))


def _halve(work: Work, first: Sequence[Cell], preset: Preset, request: Request) -> None:
    """Train networks by successive halving: first those at their defaults, which tell how many others the time allows.

    Args:
        work: the search.
        first: the networks at their defaults.
        preset: its rungs.
        request: the number of others, where it is given.
    """
    rungs = preset.rungs
    cells = list(first)
    work.run(cells, rungs[0] if rungs else None)
    count = _others(work, cells, preset, request)
    cells += drawn(first[0], count, request.seed)
    for rung, after in pairwise((*rungs, None)):
        work.run(cells, rung)
        scores = {cell.name: work.score(cell, rung) for cell in cells}
        kept = promoted(scores, preset.keep)
        cells = sorted((cell for cell in cells if cell.name in kept), key=lambda cell: kept.index(cell.name))
        work.run(cells, after)
    if not rungs:
        work.run(cells)


def _others(work: Work, cells: Sequence[Cell], preset: Preset, request: Request) -> int:
    """Return how many networks with drawn settings are tried; what was once decided is kept."""
    planned = work.journal.find("planned")
    if planned is not None:
        return int(planned["networks"])
    count = request.trials
    if count is None:
        trained = [row for row in work.rows() if row.kind == "network" and row.epochs and row.seconds]
        epoch = sum(row.seconds for row in trained) / max(1, sum(row.epochs for row in trained))
        left = max(0.0, work.clock.training_left) * work.jobs
        count = how_many(preset.drawn, len(cells), preset.rungs, preset.keep, epoch, left) if trained else 0
        if preset.drawn and trained:
            work.progress.message(
                f"An epoch takes about {duration(epoch)}: there is time for {count} networks with drawn settings."
            )
    work.journal.add("planned", work.clock.spent, networks=count)
    return count


def _end_paused(work: Work) -> None:
    """Make runs of the best paused networks, as they are, where they come close to the best one."""
    scores = {cell.name: work.score(cell) for cell in work.cells if cell.is_trained}
    best = max((value for value in scores.values() if value is not None), default=0.0)
    paused = [
        (value, cell)
        for cell in work.cells
        if cell.is_trained and not work.is_finished(cell)
        and (value := scores[cell.name]) is not None and value >= CLOSE * best
    ]  # fmt: skip
    paused.sort(key=lambda pair: pair[0], reverse=True)
    work.run([cell for _, cell in paused[:PAUSED_THAT_END]], late=True)


def _check_same(folder: Path, study: StudyConfig, request: Request, journal: Journal) -> None:
    """Write what is searched, or check that it is what the folder was begun with."""
    begun = {"preset": request.preset, "trials": request.trials}
    path = folder / SEARCH
    known = journal.find("begun")
    if known is None or not path.exists():
        write_text(path, dump_toml(study))
        journal.add("begun", 0.0, **begun)
        return
    before = {**load_toml(path), **{key: known[key] for key in begun}}
    now = study.model_dump(mode="json", exclude_none=True) | begun
    other = next(iter(differences(before, now)), None)
    if other is not None:
        raise RunError(f"{folder}: holds another search ({other}). Give the same options, or choose another --out.")


def _failures(rows: Sequence[Row]) -> dict[str, str]:
    return {row.name: row.error for row in rows if row.error is not None}


def _about(
    request: Request,
    preset: Preset,
    baselines: Sequence[Cell],
    skipped: dict[str, float],
    first: Sequence[Cell],
    jobs: int,
) -> str:
    """Return what the time will be spent on."""
    most = request.trials if request.trials is not None else preset.drawn
    up_to = "" if request.trials is not None else "up to "
    halving = f", then {up_to}{most} like the first with drawn settings" if most else ""
    rungs = " and ".join(map(str, preset.rungs))
    halving += f"; after {rungs} epochs {preset.keep:.0%} are trained on" if rungs else ""
    left_out = "".join(f" {name} is left out (about {duration(seconds)})." for name, seconds in skipped.items())
    return (
        f"{duration(request.seconds)} for {len(baselines)} baselines ({', '.join(map(name_of, baselines))}), "
        f"{len(first)} networks at their defaults ({', '.join(map(name_of, first))}){halving}; {jobs} at once. "
        f"At least {duration(at_the_end(request.seconds))} are kept for a blend, the test and the report."
        f"{left_out}"
    )
