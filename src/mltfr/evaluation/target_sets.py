"""Metrics of one list a user against all of the user's targets, as expectations over the orders of tied items.

With R targets of a user, and rel(r) = 1 where the item at rank r is one of them, at a cutoff k:

    HR = [a target is among the first k]        MRR = 1 / rank of the first target, 0 beyond k
    recall = sum(rel(r), r <= k) / R            precision = sum(rel(r), r <= k) / k
    NDCG = sum(rel(r) / log2(r + 1), r <= k) / sum(1 / log2(r + 1), r <= min(k, R))
    AP = sum(rel(r) * precision@r, r <= k) / min(k, R), and MAP is its mean

These are the definitions of RePlay (`replay.metrics`). RecTools (`rectools.metrics`) has the same HR, MRR, recall and
precision; its MAP divides by R, or by k, and its NDCG by the sum over all r <= k, so that a list that begins with all
targets need not get 1.

Items with equal scores share the places of their group: m targets among g items at the ranks h + 1 to h + g are at each
of these ranks with probability m / g, and which of the places they have is drawn without replacement (McSherry and
Najork, ECIR 2008).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mltfr.evaluation.metrics import Values
from mltfr.evaluation.ranks import MISS, Ranks

Rows = npt.NDArray[np.int64]


def target_set_metrics(
    ranks: Ranks, user: npt.NDArray[np.integer], names: Sequence[str], cutoffs: Sequence[int]
) -> dict[str, Values]:
    """Return metrics at every cutoff for every user: `{"hr@5": [U], ...}`.

    Args:
        ranks: of all targets `[T]`; those of one user are ranked in one list and are different items.
        user: whose target it is, `[T]`; the U different users are ascending in the result.
        names: of the metrics.
        cutoffs: values of k.
    """
    rows = np.unique(user, return_inverse=True)[1].astype(np.int64)      # [T]
    targets = np.bincount(rows)                                          # [U], R
    hr, mrr, hits, dcg, ideal, precision = np.zeros((6, len(targets)))   # sums over the ranks so far, [U] each
    at: dict[int, dict[str, Values]] = {}
    for r, (here, first, precise) in enumerate(_at_every_rank(ranks, rows, max(cutoffs)), start=1):
        hr += first
        mrr += first / r
        hits += here
        dcg += here / np.log2(r + 1)
        ideal += np.where(r <= targets, 1 / np.log2(r + 1), 0.0)
        precision += precise
        if r in cutoffs:
            at[r] = {
                "hr": hr.copy(),
                "ndcg": dcg / ideal,
                "mrr": mrr.copy(),
                "recall": hits / targets,
                "precision": hits / r,
                "map": precision / np.minimum(r, targets),
            }
    return {f"{name}@{k}": at[k][name] for name in names for k in cutoffs}


def _at_every_rank(ranks: Ranks, user: Rows, top: int) -> Iterator[tuple[Values, Values, Values]]:
    """Yield three expectations for every rank 1 to `top`, `[U]` each.

    They are rel(r), the probability that the first target is at r, and rel(r) * precision@r.
    """
    def sums(values: Values) -> Values:                                  # [T] -> [U]
        return np.asarray(np.bincount(user, values, users), np.float64)

    users = int(user.max()) + 1
    higher, group = ranks.higher, ranks.tied + 1                         # [T], h and g
    before, mates = _company(higher, user)                               # [T], [T]
    start = np.full(users, MISS, np.int64)
    np.minimum.at(start, user, higher)                                   # [U], h of the first group with a target
    leads = higher == start[user]
    size, leading = np.ones(users, np.int64), np.ones(users, np.int64)   # [U], its g and m
    size[user[leads]], leading[user[leads]] = group[leads], mates[leads]
    none_yet = np.ones(users)                                            # [U], probability of no target so far
    for r in range(1, top + 1):
        place = r - higher                                               # [T], from 1 up within the group
        here = np.where((place >= 1) & (place <= group), 1 / group, 0.0)
        others = before + (mates - 1) * (place - 1) / np.maximum(group - 1, 1)
        left = size - (r - start - 1)                                    # [U], places of the group from this one on
        chance = np.where((r > start) & (left >= 1), np.minimum(leading / np.maximum(left, 1), 1.0), 0.0)
        yield sums(here), none_yet * chance, sums(here * (1 + others) / r)
        none_yet = none_yet * (1 - chance)


def _company(higher: Rows, user: Rows) -> tuple[Rows, Rows]:
    """Return how many of the user's targets are in groups before, and how many in the same, `[T]` each."""
    order = np.lexsort((higher, user))
    begins = np.ones((2, len(order)), bool)                              # of a user, of a group
    begins[0, 1:] = user[order][1:] != user[order][:-1]
    begins[1, 1:] = begins[0, 1:] | (higher[order][1:] != higher[order][:-1])
    place = np.arange(len(order))
    of_user, of_group = (np.maximum.accumulate(np.where(begin, place, 0)) for begin in begins)
    before, mates = np.empty_like(place), np.empty_like(place)
    before[order] = of_group - of_user
    mates[order] = np.bincount(np.cumsum(begins[1]) - 1)[np.cumsum(begins[1]) - 1]
    return before, mates
