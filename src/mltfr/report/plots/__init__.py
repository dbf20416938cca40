"""Plots of a study, one file per kind; one that has no data is left out."""

from __future__ import annotations

from pathlib import Path

from mltfr.report.plots.study_frames import StudyFrames
from mltfr.report.plots.style import DPI, figure_class
from mltfr.storage.files import atomic_file

__all__ = ["StudyFrames", "draw_all"]


def draw_all(study: StudyFrames, folder: Path) -> list[Path]:
    """Write all plots that there is data for, and return their paths in the order of a report.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: a plot cannot be written.
    """
    figure_class()
    from mltfr.report.plots import (
        gain_by_backbone,
        gain_by_length,
        gain_by_popularity,
        gain_by_tables,
        router_shares,
        training_curves,
    )

    written = []
    for plot in (
        gain_by_backbone, gain_by_length, gain_by_popularity, gain_by_tables, router_shares, training_curves
    ):  # fmt: skip
        for stem, figure in plot.draw(study).items():
            path = folder / f"{stem}.png"
            with atomic_file(path) as temporary:
                figure.savefig(temporary, dpi=DPI, format="png")
            written.append(path)
    return written
