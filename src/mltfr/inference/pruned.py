"""The k best items of one query, exactly, of which only a few are scored in full."""

from __future__ import annotations

import torch
from torch import Tensor

from mltfr.inference.quantised import QuantisedItems
from mltfr.inference.select import GROUP, pack

GROUPED = 2 * GROUP
"""Items whose largest upper bound stands for all of them."""


def best_of_quantised(
    items: QuantisedItems, query: Tensor, k: int, seen: Tensor | None = None, blocked: Tensor | None = None
) -> Tensor:
    """Return the keys of the k best candidates, int64 `[1, <= k]`, best first; see `select.pack`.

    Some k candidates with high upper bounds are scored: the k best score at least as much as the worst of them.
    So no item whose upper bound is below that score can be among the k best, and the others, few, are scored.

    Args:
        items: the item vectors, quantised.
        query: float32 `[D]`, one that `items` serves.
        k: how many.
        seen: codes of items that are no candidates, int64 `[S]`.
        blocked: further items that are none, bool `[I + 1]`.
    """
    upper = items.upper(query)                                             # [I + 1]
    upper[0] = -torch.inf
    if seen is not None:
        upper[seen] = -torch.inf
    if blocked is not None:
        upper.masked_fill_(blocked, -torch.inf)
    groups = -(-len(upper) // GROUPED)
    padded = torch.nn.functional.pad(upper, (0, groups * GROUPED - len(upper)), value=-torch.inf)
    grouped = padded.view(groups, GROUPED)                                 # [G, GROUPED]
    maxima = grouped.amax(1)                                               # [G]
    bound = _kth_score(items, query, grouped, maxima, k)
    rows = (maxima >= bound).nonzero().squeeze(1)                          # [R], groups that may hold one
    inside = ((grouped[rows] >= bound) & (grouped[rows] > -torch.inf)).nonzero()  # [N, 2]
    codes = rows[inside[:, 0]] * GROUPED + inside[:, 1]                    # [N]
    keys = pack(items.exact(query, codes), codes)
    return keys.topk(min(k, len(keys))).values.unsqueeze(0)


def _kth_score(items: QuantisedItems, query: Tensor, grouped: Tensor, maxima: Tensor, k: int) -> float:
    """Return a score that at least k candidates reach; minus infinity where that is not known."""
    if len(maxima) < k:
        return -torch.inf
    best = maxima.topk(k)
    if best.values[-1] == -torch.inf:
        return -torch.inf
    codes = best.indices * GROUPED + grouped[best.indices].argmax(1)       # [k], one of each group
    return float(items.exact(query, codes).min())
