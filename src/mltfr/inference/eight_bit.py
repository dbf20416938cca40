"""Lone requests over large catalogues, exactly: 8-bit item vectors, and bounds on the scores that they give.

One request against a large catalogue takes as long as reading the item vectors from memory does. A quarter as much
is read here: `w ~ s * n` with whole numbers n in -127..127 and one scale s an item. The error of a score is bounded,
`|q.w - score| <= |q| * margin`, so that only the few items that may be among the best are scored in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mltfr.inference.rules import Rules
from mltfr.inference.scorer import ModelScorer
from mltfr.inference.select import GROUP, pack
from mltfr.inference.top_k import TopK
from mltfr.interactions.collate import History, has_known_item, known_items

MIN_ITEMS = 50_000
"""Items from which on this pays: 1.3 times as fast there, more than twice with a million items."""
MAX_HISTORIES = 3
"""Histories in one call up to which it pays; more of them share one reading of the true vectors."""
CALLS_BEFORE = 8
"""Such calls before the 8-bit vectors are made, which takes as long as 50 requests."""
ROUNDING = 2.0**-8
"""Relative error of rounding to bfloat16, which has 8 significant bits."""
_FLOAT = 2.0**-23
_ROWS = 1 << 16
"""Item vectors quantised at a time."""
_CHECKED = 4
"""Random queries by which the kernel of this machine is checked against the bounds."""
_TINY = 1e-25
"""Norm of a query below which products may leave the range of normal floats."""
_GROUP = 2 * GROUP
"""Items whose largest upper bound stands for all of them."""


class EightBitSearch:
    """Finds the best items of a few histories by 8-bit vectors, where that is faster than scoring all items.

    Args:
        model: scores in full, on the CPU.
    """

    def __init__(self, model: ModelScorer) -> None:
        self.model = model
        self.calls = 0
        self._vectors: list[EightBitVectors | None] = []  # empty until they are made
        self._lock = Lock()

    @property
    def vectors(self) -> EightBitVectors | None:
        """The item vectors in 8 bits, made by the first thread that asks; None where they cannot be had."""
        with self._lock:
            if not self._vectors:
                self._vectors.append(EightBitVectors.of(self.model.vectors))
            return self._vectors[0]

    def top_k(self, histories: Sequence[History], k: int, rules: Rules) -> TopK | None:
        """Return the k best items of every history, exactly; None where all items have to be scored instead.

        That is: in a small catalogue, for many histories, before `CALLS_BEFORE` calls, for a history without a known
        item, and where the bounds do not hold.
        """
        items = self.model.items
        if k < 1 or items < MIN_ITEMS or not 0 < len(histories) <= MAX_HISTORIES:
            return None
        self.calls += 1
        if self.calls < CALLS_BEFORE or not has_known_item(histories).all():
            return None
        vectors = self.vectors
        if vectors is None:
            return None
        queries = self.model.queries(histories)                          # [B, D]
        if not all(vectors.bounds_hold(query) for query in queries):
            return None
        blocked = rules.blocked(items)
        result = TopK.empty(len(histories), min(k, items))
        with torch.inference_mode():
            for row, query in enumerate(queries):
                seen = torch.from_numpy(known_items(histories[row : row + 1])[1]) if rules.remove_seen else None
                result.fill(np.array([row]), vectors.best_keys(query, k, seen, blocked))
        return result


class EightBitVectors:
    """Item vectors with one byte a number: 6 bytes an item more than D, beside the true ones' 4 D.

    Args:
        vectors: float32 `[I + 1, D]` on the CPU, finite; row 0 is padding. It is not copied.
    """

    def __init__(self, vectors: Tensor) -> None:
        rows, width = vectors.shape
        self.vectors = vectors
        self._numbers = torch.empty(rows, width, dtype=torch.int8)       # [I + 1, D]
        self._scales = torch.empty(rows, dtype=torch.bfloat16)           # [I + 1]
        self.margins = torch.empty(rows)                                 # [I + 1]
        for first in range(0, rows, _ROWS):
            some = slice(first, first + _ROWS)
            self._numbers[some], self._scales[some], self.margins[some] = quantise(vectors[some])

    @classmethod
    def of(cls, vectors: Tensor) -> EightBitVectors | None:
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
        return self._numbers.nbytes + self._scales.nbytes + self.margins.nbytes

    def bounds_hold(self, query: Tensor) -> bool:
        """Return whether the bounds hold for a query `[D]`: not where it is not finite, or next to nothing."""
        return bool(_TINY < query.norm() < 1 / _TINY)

    def scores(self, query: Tensor) -> Tensor:
        """Return approximate scores, float32 `[I + 1]`, of a query `[D]`."""
        kernel: Any = torch._weight_int8pack_mm
        return kernel(query.unsqueeze(0).bfloat16(), self._numbers, self._scales)[0].float()  # [I + 1]

    def upper(self, query: Tensor) -> Tensor:
        """Return upper bounds of the true scores, float32 `[I + 1]`; the caller may write into it."""
        return self.scores(query).add_(self.margins, alpha=float(query.norm()))

    def exact(self, query: Tensor, codes: Tensor) -> Tensor:
        """Return the true scores of some codes `[C]`, float32 `[C]`, from sums in double precision.

        So equal vectors have equal scores, wherever they stand.
        """
        return (self.vectors[codes].double() * query.double()).sum(1).float()

    def best_keys(self, query: Tensor, k: int, seen: Tensor | None = None, blocked: Tensor | None = None) -> Tensor:
        """Return the keys of the k best candidates, int64 `[1, <= k]`, best first; see `select.pack`.

        Some k candidates with high upper bounds are scored: the k best score at least as much as the worst of them.
        So no item whose upper bound is below that score can be among the k best, and the others, few, are scored.

        Args:
            query: float32 `[D]`, one for which the bounds hold.
            k: how many.
            seen: codes of items that are no candidates, int64 `[S]`.
            blocked: further items that are none, bool `[I + 1]`.
        """
        upper = self.upper(query)                                        # [I + 1]
        upper[0] = -torch.inf
        if seen is not None:
            upper[seen] = -torch.inf
        if blocked is not None:
            upper.masked_fill_(blocked, -torch.inf)
        groups = -(-len(upper) // _GROUP)
        padded = torch.nn.functional.pad(upper, (0, groups * _GROUP - len(upper)), value=-torch.inf)
        grouped = padded.view(groups, _GROUP)                            # [G, _GROUP]
        maxima = grouped.amax(1)                                         # [G]
        bound = self._kth_score(query, grouped, maxima, k)
        rows = (maxima >= bound).nonzero().squeeze(1)                    # [R], groups that may hold one
        inside = ((grouped[rows] >= bound) & (grouped[rows] > -torch.inf)).nonzero()  # [N, 2]
        codes = rows[inside[:, 0]] * _GROUP + inside[:, 1]               # [N]
        keys = pack(self.exact(query, codes), codes)
        return keys.topk(min(k, len(keys))).values.unsqueeze(0)

    def _kth_score(self, query: Tensor, grouped: Tensor, maxima: Tensor, k: int) -> float:
        """Return a score that at least k candidates reach; minus infinity where that is not known."""
        if len(maxima) < k:
            return -torch.inf
        best = maxima.topk(k)
        if best.values[-1] == -torch.inf:
            return -torch.inf
        codes = best.indices * _GROUP + grouped[best.indices].argmax(1)  # [k], one of each group
        return float(self.exact(query, codes).min())


def quantise(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return whole numbers int8 `[C, D]`, scales bfloat16 `[C]` and margins float32 `[C]` of vectors `[C, D]`.

    The margin is the sum of all errors, for a query of norm 1 (by Cauchy-Schwarz): the difference to the
    quantised vector; the query rounded to bfloat16; the score rounded to bfloat16; and every float32 rounding of
    the sums of D products, of the bound itself, and of the score that it bounds.
    """
    largest = vectors.abs().amax(1)                                      # [C]
    scales = (largest * ((1 + 2 * ROUNDING) / 127)).bfloat16()           # [C], no number beyond 127
    scales = torch.where(scales > 0, scales, torch.ones_like(scales))
    numbers = (vectors / scales.float().unsqueeze(1)).round_()           # [C, D]
    held = numbers * scales.float().unsqueeze(1)                         # [C, D], 16 bits: exact
    lost, norms = (vectors - held).norm(dim=1), held.norm(dim=1)         # [C], [C]
    rounding = (2 * ROUNDING + ROUNDING**2) * norms
    floats = (2 * vectors.shape[1] + 16) * _FLOAT * (norms + lost)
    return numbers.to(torch.int8), scales, (lost + rounding) * (1 + 64 * _FLOAT) + floats
