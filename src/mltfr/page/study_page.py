"""The page of a study: what was found in a sentence, gains with their intervals, and the tables of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from mltfr.evaluation.bootstrap import is_real
from mltfr.page.content import Column, Figure, Page, Section, Table
from mltfr.page.svg import Interval, intervals
from mltfr.report.contents import Contents, read_contents
from mltfr.report.frames import RESULTS, STUDY, TABLE_KEY
from mltfr.report.names import groups_of
from mltfr.report.table import metric_name, p_value, percent
from mltfr.report.windows import incomplete
from mltfr.storage.folder import MANIFEST
from mltfr.study.arms import members_of
from mltfr.study.config import StudyConfig, load_study
from mltfr.study.folder import CELLS
from mltfr.study.plan import make_plan
from mltfr.version import __version__

Rows = Sequence[Mapping[str, Any]]
TOLD = 8
"""Comparisons that are told in words at the top."""
FOOT = f"Written by mltfr {__version__} from the study folder alone."


def is_a_study(folder: Path) -> bool:
    """Return whether a folder is a study's."""
    return (folder / STUDY).is_file()


def study_page(folder: Path, title: str | None = None) -> Page:
    """Return the page of a study; it has means over users only, and no id of any.

    Args:
        folder: the study folder.
        title: the heading; the study's own if not given.

    Raises:
        RunError: the results are damaged.
        ConfigError: the study file cannot be read.
        DataError: the results do not fit together.
    """
    study = load_study(folder / STUDY)
    plan = make_plan(study)
    heading, about = title or study.title, _about(study)
    if not (folder / RESULTS).is_file():
        done = sum((path / MANIFEST).is_file() for path in (folder / CELLS).glob("*"))
        said = f"Not finished: {done} of {len(plan)} cells are, and there are no tables yet."
        return Page(heading, about, said, (), (_repeat(folder, study),), FOOT)
    found = read_contents(
        folder, study.metrics, study.compare_with, study.test, members_of(plan), study.contrasts
    )
    rows = _compared(found, study.metrics[0])
    cells = found.results["cell"].n_unique()
    more = [_in_words(row) for row in rows[:TOLD]]
    more += [f"{len(rows) - TOLD} more stand below."] if len(rows) > TOLD else []
    more += incomplete(found.results)
    more += [f"{cells} of {len(plan)} cells are in these tables."] if cells < len(plan) else []
    gains = _gains(found, rows, study)
    tables = tuple(Table.of_report(table) for table in found.tables)
    return Page(
        title=heading,
        about=about,
        verdict=_verdict(rows, study),
        more=tuple(more),
        sections=(
            Section("gains", "Gains", figures=gains, absent=() if gains else ("There is nothing to compare yet.",)),
            Section("tables", "Tables", tables=tables),
            _repeat(folder, study),
        ),
        foot=FOOT,
    )


def _about(study: StudyConfig) -> str:
    parts = (
        ("data", list(study.data)), ("backbones", list(study.backbones)), ("fusions", list(study.fusions)),
        ("seeds", [str(seed) for seed in study.seeds]),
    )  # fmt: skip
    return "; ".join(f"{name}: {', '.join(labels)}" for name, labels in parts if labels)


def _compared(found: Contents, metric: str) -> list[dict[str, Any]]:
    """Return the comparisons by the first metric, in the order of the study's tables."""
    rows = found.comparisons.filter(pl.col("metric") == metric).to_dicts()
    return sorted(rows, key=found.labels.key)


def _verdict(rows: Rows, study: StudyConfig) -> str:
    metric, other = metric_name(study.metrics[0]), study.compare_with
    if not rows:
        return f"Nothing was compared with {other} yet."
    real = [row["difference"] for row in rows if is_real(row["p_holm"])]
    better, worse = sum(one > 0 for one in real), sum(one < 0 for one in real)
    count = f"{len(rows)} comparison{'s' if len(rows) > 1 else ''}"
    return (
        f"Of {count} with {other} by test {metric}, {better} came out better, {worse} worse, and "
        f"{len(rows) - better - worse} cannot be told from chance (p after Holm below .05)."
    )


def _in_words(row: Mapping[str, Any]) -> str:
    what = f"{row['data']}, {row['backbone']}: {row['fusion']}" + f" ({row['tables']})" * bool(row["tables"])
    base = row["other_mean"]
    if not base:
        return f"{what} against a score of 0."
    low, high = percent(row["low"] / base), percent(row["high"] / base)
    seeds = "" if row["seeds_random"] else "; one seed only, so variance over seeds is not in it"
    interval = f"95 % interval {low.removesuffix(' %')} to {high}"
    return f"{what} {percent(row['relative_gain'])} ({interval}, p after Holm {p_value(row['p_holm'])}{seeds})."


def _gains(found: Contents, rows: Rows, study: StudyConfig) -> tuple[Figure, ...]:
    """Return a figure of relative gains for every data set and protocol."""
    names, figures = groups_of(found.pooled, found.labels), []
    for key, group in groupby(rows, key=lambda row: tuple(row[column] for column in TABLE_KEY)):
        mine = [row for row in group if row["other_mean"]]
        if not mine:
            continue
        name = names[key]
        table = Table(
            f"gain-{name.stem}",
            f"{name.title}: gain in {metric_name(study.metrics[0])} over {study.compare_with}, in %",
            (
                Column("backbone"), Column("fusion"), Column("tables"), Column("gain %", "+.1f"),
                Column("95 % from", "+.1f"), Column("to", "+.1f"), Column("p", ".2g"), Column("p (Holm)", ".2g"),
                Column("users", ",d"), Column("seeds", "d"),
            ),
            tuple(
                (row["backbone"], row["fusion"], row["tables"], *_percents(row), row["p"], row["p_holm"],
                 row["users"], row["seeds"])
                for row in mine
            ),
            (f"Interval: bootstrap over users and seeds, relative to the mean of {study.compare_with}.",),
        )  # fmt: skip
        drawn = [
            Interval(", ".join(filter(None, (row["backbone"], row["fusion"], row["tables"]))), *_percents(row))
            for row in mine
        ]
        figures.append(Figure(intervals(table.title, drawn, "+.1f"), table))
    return tuple(figures)


def _percents(row: Mapping[str, Any]) -> tuple[float, float, float]:
    base = row["other_mean"]
    return 100 * row["difference"] / base, 100 * row["low"] / base, 100 * row["high"] / base


def _repeat(folder: Path, study: StudyConfig) -> Section:
    written = "study.toml of the study folder has every setting, and the names of all cells."
    logs = tuple((label, Path(str(data.file or data.name or "synthetic")).name) for label, data in study.data.items())
    return Section(
        "repeat", "How to repeat it", (written,), logs, commands=(f"mltfr study {STUDY} --out AGAIN",)
    )
