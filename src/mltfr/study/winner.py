"""The cell of a data set that is best on validation, and the command that leads to a run of it that recommends."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mltfr.interactions.catalogue import get_data
from mltfr.pipeline.artifact import CONFIG, WEIGHTS
from mltfr.study.config import SYNTHETIC, DataConfig, StudyConfig
from mltfr.study.folder import CELLS
from mltfr.study.results import RESULTS


@dataclass(frozen=True)
class Winner:
    """What is best on a data set.

    Attributes:
        data: label of the data set.
        title: labels of backbone, fusion and tables.
        metric: the study's first metric.
        value: its mean on validation over the seeds.
        seeds: number of seeds.
        command: makes a run of its best seed that recommends, or recommends where the study kept it; None where no
            command can read the data.
    """

    data: str
    title: str
    metric: str
    value: float
    seeds: int
    command: str | None

    def __str__(self) -> str:
        how = f"To recommend with it: {self.command}" if self.command else "To recommend with it, set keep_runs = true."
        seeds = f", mean of {self.seeds} seeds" if self.seeds > 1 else ""
        return f"{self.data}: best on validation is {self.title} ({self.metric} {self.value:.4f}{seeds}). {how}"


def find_winners(study: StudyConfig, folder: Path) -> list[Winner]:
    """Return the best of every data set that has results: the highest mean over seeds of the first metric.

    It is chosen on validation, and so is the seed whose run the command leads to.

    Args:
        study: the study.
        folder: its folder, with `results.parquet`.
    """
    metric = study.metrics[0]
    cells = pl.read_parquet(folder / RESULTS).filter(part="validation", metric=metric)
    found = []
    for (label,), rows in cells.group_by("data", maintain_order=True):
        groups = rows.group_by("backbone", "fusion", "tables", maintain_order=True).agg(
            mean=pl.col("value").mean(), seeds=pl.len(), cell=pl.col("cell").get(pl.col("value").arg_max())
        )
        best = groups.row(groups["mean"].arg_max() or 0, named=True)
        title = " / ".join(best[axis] for axis in ("backbone", "fusion", "tables") if best[axis])
        command = _command(study.data[str(label)], folder / CELLS / best["cell"])
        found.append(Winner(str(label), title, metric, best["mean"], best["seeds"], command))
    return found


def _command(data: DataConfig, run: Path) -> str | None:
    if (run / WEIGHTS).exists():
        return f"mltfr recommend {shlex.quote(str(run))} --out recommendations.csv"
    if data.name == SYNTHETIC:
        return None
    files = data.files if data.name is None else [str(get_data(data.name))]
    return shlex.join(["mltfr", "fit", *files, "--config", str(run / CONFIG), "--out", "runs/winner"])
