"""What a teacher thinks comes next at every training position, computed once and read row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mltfr.interactions.collate import Codes
from mltfr.losses.distillation import Distillation


@dataclass(frozen=True)
class Teacher:
    """A teacher's probabilities, and the loss that learns them.

    Attributes:
        rows: structured `[T]`, one row for every interaction of the flat training histories: `codes` int32 `[n]`, the
            items that the teacher thinks most probable to come there, and `shares` float32 `[n]`; mapped from a file.
        loss: mixes them into the training loss.
    """

    rows: npt.NDArray[Any]
    loss: Distillation

    def at(self, places: Codes) -> tuple[Tensor, Tensor]:
        """Return codes int64 `[P, n]` and shares float32 `[P, n]` at places of the flat training histories, `[P]`."""
        rows = self.rows[places]
        codes = np.ascontiguousarray(rows["codes"]).astype(np.int64)
        return torch.from_numpy(codes), torch.from_numpy(np.ascontiguousarray(rows["shares"]))


def row_type(top: int) -> np.dtype[Any]:
    """Return the type of a row of `Teacher.rows` with so many items."""
    return np.dtype([("codes", "<i4", (top,)), ("shares", "<f4", (top,))])
