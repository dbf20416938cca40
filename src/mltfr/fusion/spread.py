"""The training queries that choose a shortlist."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

GOLDEN_RATIO = 0.6180339887498949


def spread_queries(batches: Iterable[tuple[Tensor, Tensor]], limit: int) -> Tensor:
    """Return one query of each of the first `limit` users with a history, `[Q, D]`; no randomness.

    User number i gives the one at the fraction `i * golden ratio mod 1` of the observed positions, so
    that early and late positions are there alike. No batch is read beyond the limit.

    Args:
        batches: queries `[B, L, D]` and observed positions `[B, L]`.
        limit: queries wanted.
    """
    taken: list[Tensor] = []
    users = 0
    for query, mask in batches:
        some = mask.any(1)                                                      # [B]
        query, mask = query[some][: limit - users], mask[some][: limit - users]
        count = mask.sum(1)                                                     # [b]
        number = torch.arange(users, users + len(mask), device=mask.device, dtype=torch.float64)
        place = ((number * GOLDEN_RATIO) % 1 * count).long()                    # [b], 0 .. count - 1
        reached = mask & (mask.cumsum(1) == (place + 1).unsqueeze(1))           # [b, L], one True a row
        taken.append(query[reached])                                            # [b, D]
        users += len(mask)
        if users >= limit:
            break
    return torch.cat(taken) if taken else torch.empty(0, 0)
