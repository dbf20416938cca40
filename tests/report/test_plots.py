"""Plots of a study: each one there is data for, none there is no data for, and the same from the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mltfr.report import write_report
from mltfr.report.plots.curves import curve
from mltfr.report.plots.slices import _panel
from mltfr.report.plots.style import style
from support.made_up_study import write_study

pytest.importorskip("matplotlib")


def plots(folder: Path) -> dict[str, bytes]:
    paths = write_report(folder, "T", ("ndcg@10",), "none", "users-and-seeds")
    return {path.name: path.read_bytes() for path in paths if path.suffix == ".png"}


def test_every_plot_that_there_is_data_for(tmp_path: Path) -> None:
    folder = write_study(tmp_path, tables={"one": ["a"], "two": ["a", "b"]}, users=140, backbones=("sasrec",))
    found = plots(folder)
    assert list(found) == [
        f"{name}-beauty.png"
        for name in ("gain-by-backbone", "gain-by-length", "gain-by-popularity", "gain-by-tables", "router-shares",
                     "training-curves")
    ]  # fmt: skip
    assert all(data.startswith(b"\x89PNG") for data in found.values())
    summary = (folder / "summary.md").read_text("utf-8")
    assert all(f"](plots/{name})" in summary for name in found)
    assert plots(folder) == found


def test_plots_without_data_are_left_out(tmp_path: Path) -> None:
    folder = write_study(tmp_path, users=20, backbones=("sasrec",))  # slices of fewer than 30 users say nothing
    shutil.rmtree(folder / "cells")
    assert list(plots(folder)) == ["gain-by-backbone-beauty.png"]
    assert plots(write_study(tmp_path / "bare", fusions={"none": 0.0}, epochs=1, backbones=("a",))).keys() == {
        "training-curves-beauty.png"
    }


def test_a_curve_ends_where_half_of_the_seeds_have_stopped() -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    rows = [{"round": r, "seed": seed, "epoch": epoch, "value": 10.0 * seed + epoch}
            for r in (1, 2) for seed, last in ((0, 2), (1, 3), (2, 5)) for epoch in range(1, last + 1)]  # fmt: skip
    curve(axes, rows, "mltfr", 0)
    dashed, line = axes.get_lines()
    assert (dashed.get_linestyle(), line.get_linestyle(), line.get_label()) == ("--", "-", "mltfr")
    assert list(line.get_xdata()) == [1, 2, 3]
    assert list(line.get_ydata()) == [11.0, 12.0, 18.0]


def test_crowded_panels_are_split() -> None:
    few = [("a", "one", "mltfr"), ("b", "one", "mltfr"), ("b", "two", "random")]
    assert [_panel(row, few) for row in few] == ["a", "b", "b"]
    variants = [("a", "one", f"mltfr-{number}") for number in range(7)]
    assert [_panel(row, variants) for row in variants[:2]] == ["a\nmltfr-0", "a\nmltfr-1"]
    sets = [("a", f"set-{number}", fusion) for number in range(4) for fusion in ("mltfr", "random")]
    assert [_panel(row, [*sets, ("a", "", "capacity")]) for row in sets[1:3]] == ["a\nset-0", "a\nset-1"]
    assert _panel(("a", "", "capacity"), [*sets, ("a", "", "capacity")]) == "a\nno tables"


def test_series_can_be_told_apart() -> None:
    looks = [tuple(style(index).values()) for index in range(24)]
    assert len(set(looks)) == 24
