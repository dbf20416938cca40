"""How much each fusion gains where the next item is popular, and where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltfr.report.plots.slices import draw_slices
from mltfr.report.plots.study_frames import StudyFrames

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORDER = ("head", "mid", "tail")
"""Thirds of all training interactions, most popular items first (`evaluation.slices`)."""


def draw(study: StudyFrames) -> dict[str, Figure]:
    """Return a figure per data set: the gain by the target's popularity."""
    return draw_slices(study, "target_popularity", ORDER, "popularity of the target",
                       "gain-by-popularity", "the target's popularity")  # fmt: skip
