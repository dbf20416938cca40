"""From a log to the best recommender that the time allows: everything is chosen on validation, test is scored once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from threading import Event

from mltfr.search.arms import PRESETS, Preset, drawn, networks, search_study
from mltfr.search.check import check_request
from mltfr.search.halving import how_many, promoted
from mltfr.search.request import Outcome, Request
from mltfr.search.rows import name_of
from mltfr.search.run import run_search
from mltfr.search.work import Work
from mltfr.storage.duration import duration
from mltfr.study.cell import Cell
from mltfr.study.launch import Launch, launch

DECIDED = {
    "backbone.name": "The search chooses backbones itself, by --preset",
    "fusion.name": "The search chooses fusions itself, by --tokens",
}
"""Settings that the search decides, each with what to do instead."""
PAUSED_THAT_END = 3
"""Paused networks that are made runs of at the end, at most, as they are: members of a blend may be among them."""
CLOSE = 0.9
"""Share of the best network's score that they need."""


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
    check_request(request, DECIDED)
    preset = PRESETS[request.preset]
    study = search_study(request)

    def search(work: Work, plan: Sequence[Cell], baselines: Sequence[Cell], about: str) -> str:
        first = networks(plan, preset)
        about = f"{about}, {_about(request, preset, first)}"
        work.progress.message(about)
        work.run_baselines(baselines)
        _halve(work, first, preset, request)
        _end_paused(work)
        return about

    return run_search(study, request, out, search, resume, stop, began, launch)


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
        processes = sum(work.journal.of_run(work.folder.run(cell)).processes for cell in cells)
        fitting = max(0.0, sum(row.seconds for row in trained) - work.starting * processes)
        epoch = fitting / max(1, sum(row.epochs for row in trained))
        left = max(0.0, work.clock.training_left) * work.jobs
        pace = (epoch, work.starting, left)
        count = how_many(preset.drawn, len(cells), preset.rungs, preset.keep, *pace) if trained else 0
        if preset.drawn and trained:
            work.progress.message(
                f"An epoch takes about {duration(epoch)}: there is time for {count} networks with drawn settings."
            )
    work.journal.add("planned", networks=count, seconds=request.seconds)
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


def _about(request: Request, preset: Preset, first: Sequence[Cell]) -> str:
    """Return what the time will be spent on behind the baselines."""
    most = request.trials if request.trials is not None else preset.drawn
    up_to = "" if request.trials is not None else "up to "
    halving = f", then {up_to}{most} like the first with drawn settings" if most else ""
    rungs = " and ".join(map(str, preset.rungs))
    halving += f"; after {rungs} epochs {preset.keep:.0%} are trained on" if rungs else ""
    return f"{len(first)} networks at their defaults ({', '.join(map(name_of, first))}){halving}; last, a blend"
