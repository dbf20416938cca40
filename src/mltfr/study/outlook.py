"""What a study can see, told before it runs: the standard error of a gain, and the smallest one that it finds.

How scores vary is taken from the cells that are finished, and where no two of them can be compared, from two quick
baselines on validation: test is not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import polars as pl

from mltfr.evaluation import evaluate
from mltfr.evaluation.asked import asked_targets
from mltfr.evaluation.power import Spread, Visible, visible
from mltfr.evaluation.significance import per_user
from mltfr.pipeline.inputs import split_log
from mltfr.pipeline.quick_baselines import QUICK, fit_beside, is_quick
from mltfr.storage.progress import Progress
from mltfr.study.cell import Cell
from mltfr.study.config import StudyConfig
from mltfr.study.data import open_log
from mltfr.study.folder import StudyFolder
from mltfr.study.results import gather

SEEDS_MOVE = 0.05
"""Standard deviation of a score over seeds, as a share of it: about the median of docs/results.md."""
MORE_SEEDS = 5
"""Seeds that a study with fewer is told about."""
MOST_EXAMPLES = 10_000
"""Validation examples that tell how unlike two baselines are."""


@dataclass(frozen=True)
class Outlook:
    """What a study sees on one data set.

    Attributes:
        data: its label.
        metric: what gains are of.
        users: test users.
        seeds: of a recommender.
        score: what gains are relative to.
        seen: the standard error of a gain, and the smallest visible one.
        basis: where the spread is from.
        more: the smallest visible gain with `MORE_SEEDS`; None where there are as many, or seeds are taken as given.
    """

    data: str
    metric: str
    users: int
    seeds: int
    score: float
    seen: Visible
    basis: str
    more: float | None = None

    def __str__(self) -> str:
        share = f" ({100 * self.seen.smallest / self.score:.0f} % of {self.score:.4f})" if self.score else ""
        only = "; with one seed that is about these trainings alone" if self.seeds == 1 else ""
        more = f" With {MORE_SEEDS} seeds it would be {self.more:.4f}." if self.more is not None else ""
        return (
            f"{self.data}: {self.users:,} test users, {self.seeds} seed{'s' * (self.seeds > 1)}. A gain in "
            f"{self.metric} will have a standard error of about {self.seen.standard_error:.4f}. 80 % of such studies "
            f"find one of {self.seen.smallest:.4f}{share}, at p < .05 before Holm{only}.{more} {self.basis}"
        )


def look_ahead(
    study: StudyConfig, cells: Sequence[Cell], labels: Collection[str], folder: StudyFolder, progress: Progress
) -> list[Outlook]:
    """Return what the study sees on each data set; one without a validation split or with one user has no outlook.

    Args:
        study: the study.
        cells: the plan; of a rolling split the newest window stands for all.
        labels: the data sets that cells run on this time.
        folder: the study folder, with the cells that are finished.
        progress: receives what takes time.
    """
    found: dict[str, Outlook | None] = {}
    measured = _measured(study, cells, folder)
    for cell in sorted(cells, key=lambda cell: cell.group.window, reverse=True):
        label = cell.group.data
        if label in labels and label not in found:
            found[label] = measured.get(label) or _by_baselines(study, cell, progress)
    return [outlook for outlook in found.values() if outlook is not None]


def _measured(study: StudyConfig, cells: Sequence[Cell], folder: StudyFolder) -> dict[str, Outlook]:
    """Return the outlook of the data sets on which finished cells can be compared, by label."""
    if not gather(folder, cells):
        return {}
    from mltfr.report.comparisons import measured, pairs
    from mltfr.report.frames import TABLE_KEY, read_results, read_users
    from mltfr.report.windows import pooled_users, rolled_cells

    results, users, metric = read_results(folder.path), read_users(folder.path), study.metrics[0]
    seeds = len(study.seeds) if study.test == "users-and-seeds" else 1
    found = {}
    for key, group in pooled_users(users, rolled_cells(results)).filter(pl.col("fusion") != "").group_by(TABLE_KEY):
        rows = measured(group, metric)
        compared = [(rows[row].values, rows[other].values) for row, other in pairs(sorted(rows), study.compare_with)]
        several = [pair for pair in compared if seeds == 1 or min(map(len, pair)) > 1]
        if several:
            score = float(np.mean([other.mean() for _, other in several]))
            basis = f"By the {len(several)} comparisons whose cells are finished."
            found[str(key[0])] = _outlook(
                study, str(key[0]), several[0][0].shape[1], score, [Spread.of(*pair) for pair in several], basis
            )
    return found


def _by_baselines(study: StudyConfig, cell: Cell, progress: Progress) -> Outlook | None:
    label, window = cell.group.data, cell.group.window
    config, data, _ = split_log(cell.config, open_log(study.data[label], cell.config.filters))
    protocol, metric = config.evaluation.protocol(data.method), study.metrics[0]
    users = len(np.unique(asked_targets(data, "test", protocol).user))
    names = [name for name in QUICK if is_quick(name, data, protocol)][-2:]
    if users < 2 or len(names) < 2 or len(np.unique(data.validation.user)) < 2:
        return None
    progress.start(f"{label}: what this study can see")
    some = protocol.model_copy(update={"max_examples": min(protocol.max_examples or MOST_EXAMPLES, MOST_EXAMPLES)})
    scores = [per_user(evaluate(fit_beside(name, data), data, "validation", some), metric) for name in names]
    progress.close()
    score = max(float(values.mean()) for values in scores)
    moved = SEEDS_MOVE * score
    spread = Spread(float(np.std(scores[0] - scores[1], ddof=1)), seeds=(moved, moved))
    basis = (
        f"Assumed: from user to user two recommenders differ as {names[0]} and {names[1]} do on validation, and the "
        f"standard deviation over seeds is {100 * SEEDS_MOVE:.0f} % of the score."
    )
    return _outlook(study, label, users, score, [spread], basis + f" By the window {window} alone." * bool(window))


def _outlook(
    study: StudyConfig, label: str, users: int, score: float, spreads: Sequence[Spread], basis: str
) -> Outlook:
    """Return the outlook by the median of some spreads."""

    def seen(seeds: int) -> Visible:
        each = [visible(spread, users, (seeds, seeds)) for spread in spreads]
        return Visible(median(one.standard_error for one in each), median(one.smallest for one in each))

    seeds = len(study.seeds) if study.test == "users-and-seeds" else 1
    more = seen(MORE_SEEDS).smallest if 1 < seeds < MORE_SEEDS else None
    return Outlook(label, study.metrics[0], users, seeds, score, seen(seeds), basis, more)
