"""The cell of a data set that is best on validation, and the command that leads to a run of it that recommends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mltfr.errors import word
from mltfr.interactions.catalogue import get_data
from mltfr.pipeline.artifact import CONFIG
from mltfr.pipeline.restore import WEIGHTS
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
        value: its mean on validation over the seeds, and over the windows of a rolling split.
        seeds: number of seeds.
        command: makes a run of its best seed that recommends, or recommends where the study kept it; None where no
            command makes it. Of a rolling split it is the newest window's.
        windows: number of windows; 1 without a rolling split.
    """

    data: str
    title: str
    metric: str
    value: float
    seeds: int
    command: str | None
    windows: int = 1

    def __str__(self) -> str:
        how = f"To recommend with it: {self.command}" if self.command else "To recommend with it, set keep_runs = true."
        counts = [f"{n} {what}" for n, what in ((self.windows, "windows"), (self.seeds, "seeds")) if n > 1]
        mean = f", mean of {' with '.join(counts)}" if counts else ""
        return f"{self.data}: best on validation is {self.title} ({self.metric} {self.value:.4f}{mean}). {how}"


def find_winners(study: StudyConfig, folder: Path) -> list[Winner]:
    """Return the best of every data set that has results: the highest mean over seeds of the first metric.

    It is chosen on validation, and so is the seed whose run the command leads to. With windows the mean is over them
    too, of those recommenders and seeds that have all.

    Args:
        study: the study.
        folder: its folder, with `results.parquet`.
    """
    metric = study.metrics[0]
    cells = pl.read_parquet(folder / RESULTS).filter(part="validation", metric=metric)
    found = []
    for (label,), rows in cells.group_by("data", maintain_order=True):
        windows, axes = rows["window"].n_unique(), ("backbone", "fusion", "tables")
        whole = rows.filter(pl.col("window").n_unique().over(*axes, "seed") == windows)
        newest = pl.col("window") == rows["window"].max()
        groups = whole.group_by(axes, maintain_order=True).agg(
            mean=pl.col("value").mean(),
            seeds=pl.col("seed").n_unique(),
            cell=pl.col("cell").filter(newest).get(pl.col("value").filter(newest).arg_max()),
        )
        if not len(groups):
            continue
        best = groups.row(groups["mean"].arg_max() or 0, named=True)
        title = " / ".join(best[axis] for axis in axes if best[axis])
        made_of_others = best["fusion"] in (*study.blends, *study.teachers)
        command = _command(study.data[str(label)], folder / CELLS / best["cell"], made_of_others)
        found.append(Winner(str(label), title, metric, best["mean"], best["seeds"], command, windows))
    return found


def _command(data: DataConfig, run: Path, made_of_others: bool) -> str | None:
    if (run / WEIGHTS).exists():
        return f"mltfr recommend {word(run)} --out recommendations.csv"
    if data.name == SYNTHETIC or made_of_others:
        return None
    files = data.files if data.name is None else [str(get_data(data.name))]
    return " ".join(map(word, ["mltfr", "fit", *files, "--config", run / CONFIG, "--out", "runs/winner"]))
