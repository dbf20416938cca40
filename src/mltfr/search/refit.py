"""What a search has chosen, fitted anew on all of the log: training, validation and test."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from mltfr.interactions import Split
from mltfr.pipeline import load_artifact
from mltfr.pipeline.artifact import open_run, read_manifest, remove_run, save_artifact
from mltfr.pipeline.models import BLEND, REFIT, BlendModel
from mltfr.pipeline.refit import refit, refit_blend
from mltfr.search.blends import Quiet
from mltfr.search.folder import BEST, REFITTED
from mltfr.search.rows import Row
from mltfr.storage.duration import duration
from mltfr.storage.folder import MANIFEST
from mltfr.storage.progress import Progress


def refit_best(folder: Path, rows: Sequence[Row], metric: str, split: Split, progress: Progress, stop: Event) -> str:
    """Write the run of the chosen recommender, fitted to all of the log, and return what there is to say.

    Of a blend every member is fitted anew, and its weights stay. One that is there already is kept.

    Args:
        folder: the search folder, with its best run.
        rows: the leaderboard.
        metric: what has decided, on validation.
        split: the log, split.
        progress: receives what takes time.
        stop: when set, a training at work ends without a run.

    Raises:
        ConfigError: see `check_refit`.
        Interrupted: `stop` was set.
    """
    begun, there = time.monotonic(), folder / REFITTED
    name = next(row.name for row in rows if row.state == "finished")  # the best one; a paused one may lead
    if (there / MANIFEST).exists():
        return _said(name, read_manifest(there, ()))
    best, data = load_artifact(folder / BEST), split.everything()
    quiet = Quiet(progress)
    progress.message(f"refitting {name} on all interactions, behind the time of the search")
    if isinstance(best.model, BlendModel):
        runs = {row.name: folder / row.run for row in rows}
        names = [member["run"] for member in best.facts[BLEND]["members"]]
        fitted = refit_blend(best, [refit(load_artifact(runs[each]), data, quiet, stop) for each in names], data)
    else:
        fitted = refit(best, data, quiet, stop)
    facts = {**fitted.facts, REFIT: {**fitted.facts[REFIT], "judged_by": metric}}
    remove_run(there)  # of a command that was killed here
    with open_run(there, resume=False):
        save_artifact(replace(fitted, facts=facts), there)
    return f"{_said(name, fitted.facts)} It took {duration(time.monotonic() - begun)} more."


def _said(name: str, facts: Mapping[str, Any]) -> str:
    """Return what there is to say of a refitted run, from its manifest."""
    return (
        f"{name} was refitted on all {facts[REFIT]['interactions']:,} interactions, validation and test among them"
        f"{', every member of it, with its weights as they were' if BLEND in facts else ''}. It has no scores: "
        "nothing is held out. Those above are of the chosen run before the refit."
    )
