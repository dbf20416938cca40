"""Item vectors as 8-bit integers, and bounds on the scores that they give.

One request against a large catalogue takes as long as reading the item vectors from memory does. A quarter as much
is read here: `w ~ s * n` with whole numbers n in -127..127 and one scale s an item. What the true score can be is
known, `|q.w - score| <= |q| * margin`, so that only the few items that may be among the best are scored again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ROUNDING = 2.0**-8
"""Relative error of rounding to bfloat16, which has 8 significant bits."""
_FLOAT = 2.0**-23
_ROWS = 1 << 16
"""Item vectors quantised at a time."""
_CHECKED = 4
"""Random queries by which the kernel of this machine is held to the bounds."""
_TINY = 1e-25
"""Norm of a query below which products may leave the range of normal floats."""


class QuantisedItems:
    """Item vectors with one byte a number: 6 bytes an item more than D, beside the true ones' 4 D.

    Args:
        vectors: float32 `[I + 1, D]` on the CPU, finite; row 0 is padding. Kept, not copied.
    """

    def __init__(self, vectors: Tensor) -> None:
        rows, width = vectors.shape
        self.vectors = vectors
        self._numbers = torch.empty(rows, width, dtype=torch.int8)         # [I + 1, D]
        self._scales = torch.empty(rows, dtype=torch.bfloat16)             # [I + 1]
        self.margins = torch.empty(rows)                                   # [I + 1]
        for first in range(0, rows, _ROWS):
            part = slice(first, first + _ROWS)
            self._numbers[part], self._scales[part], self.margins[part] = quantise(vectors[part])

    @classmethod
    def of(cls, vectors: Tensor) -> QuantisedItems | None:
        """Return the quantised vectors; None where this torch lacks the kernel, or its scores break the bounds."""
        if vectors.device.type != "cpu" or not vectors.isfinite().all():
            return None
        items = cls(vectors)
        random = torch.Generator().manual_seed(0)
        for query in torch.randn(_CHECKED, vectors.shape[1], generator=random):
            try:
                scores = items.scores(query)
            except (AttributeError, RuntimeError):
                return None
            if ((vectors @ query - scores).abs() > query.norm() * items.margins).any():
                return None
        return items

    @property
    def nbytes(self) -> int:
        """Memory that this takes beside the true vectors, in bytes."""
        return sum(part.nbytes for part in (self._numbers, self._scales, self.margins))

    def serves(self, query: Tensor) -> bool:
        """Return whether the bounds hold for a query `[D]`: not where it is not finite, or next to nothing."""
        return bool(_TINY < query.norm() < 1 / _TINY)

    def scores(self, query: Tensor) -> Tensor:
        """Return approximate scores, float32 `[I + 1]`, of a query `[D]`."""
        kernel: Any = torch._weight_int8pack_mm
        approximate: Tensor = kernel(query.unsqueeze(0).bfloat16(), self._numbers, self._scales)  # [1, I + 1]
        return approximate[0].float()

    def upper(self, query: Tensor) -> Tensor:
        """Return what the true scores cannot exceed, float32 `[I + 1]`; the caller may write into it."""
        return self.scores(query).add_(self.margins, alpha=float(query.norm()))

    def exact(self, query: Tensor, codes: Tensor) -> Tensor:
        """Return the scores of some codes, float32 `[C]`: inner products in double precision, rounded once.

        So equal vectors have equal scores, wherever they stand.
        """
        return (self.vectors[codes].double() * query.double()).sum(1).float()


def quantise(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return whole numbers int8 `[C, D]`, scales bfloat16 `[C]` and margins float32 `[C]` of vectors `[C, D]`.

    The margin is the sum of what can go wrong, for a query of norm 1 (by Cauchy-Schwarz): the difference to the
    quantised vector; the query rounded to bfloat16; the score rounded to bfloat16; and every float32 rounding of
    the sums of D products, of the bound itself, and of the score that it bounds.
    """
    largest = vectors.abs().amax(1)                                        # [C]
    scales = (largest * ((1 + 2 * ROUNDING) / 127)).bfloat16()             # [C], no number beyond 127
    scales = torch.where(scales > 0, scales, torch.ones_like(scales))
    numbers = (vectors / scales.float().unsqueeze(1)).round_()             # [C, D]
    held = numbers * scales.float().unsqueeze(1)                           # [C, D], 16 bits: exact
    lost, norms = (vectors - held).norm(dim=1), held.norm(dim=1)           # [C], [C]
    rounding = (2 * ROUNDING + ROUNDING**2) * norms
    floats = (2 * vectors.shape[1] + 16) * _FLOAT * (norms + lost)
    return numbers.to(torch.int8), scales, (lost + rounding) * (1 + 64 * _FLOAT) + floats
