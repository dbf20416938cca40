"""How much each fusion gains for users with short and long histories."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mltfr.evaluation.slices import length_slices
from mltfr.report.plots.slices import draw_slices
from mltfr.report.plots.study_frames import StudyFrames

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(study: StudyFrames) -> dict[str, Figure]:
    """Return a figure per data set: the gain by the bins of `evaluation.slices`."""
    lengths = study.users["history_length"].to_numpy().astype(np.int64)
    bins = length_slices(lengths)
    of_user = np.full(len(lengths), "", dtype=object)
    for name, mask in bins.items():
        of_user[mask] = name
    users = study.users.with_columns(length_bin=pl.Series(of_user.tolist(), dtype=pl.String))
    return draw_slices(replace(study, users=users), "length_bin", tuple(bins), "history length",
                       "gain-by-length", "items in the history")  # fmt: skip
