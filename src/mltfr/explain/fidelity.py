"""Fidelity: what removing the items that explanations name does to recommendations, beside orders that know nothing.

The measures are those of FidelityMetrics4XRec (SIGIR 2025), at fixed numbers K_e of items, and not at shares of the
history, which end in an empty one. Of every user the best item is explained, and the items of the history are ordered
by their contributions to it:

    POS@k,K_e   share of users whose item is still among the first k without the K_e first items: lower is better
    NEG@k,K_e   the same without the K_e last items: higher is better
    DEL@K_e     mean score without the K_e first items: lower is better
    INS@K_e     mean score with the K_e first items alone: higher is better
    NDCG@K_e    mean of 1 / log2(1 + rank) without the K_e first items: lower is better
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.errors import DataError
from mltfr.evaluation.bootstrap import bootstrap_means
from mltfr.explain.contributions import contributions, unit_of
from mltfr.explain.explainer import Explainer
from mltfr.explain.orders import OWN, RANDOM, REMOVED, null_orders, own_order
from mltfr.explain.removal import ReadHistory, score, window_of
from mltfr.inference import Rules, top_k
from mltfr.interactions import History, evenly_spaced
from mltfr.interactions.collate import Codes
from mltfr.storage.adapter import adapter_of
from mltfr.storage.progress import SILENT, Progress

POS, NEG, DEL, INS, NDCG = METRICS = ("pos", "neg", "del", "ins", "ndcg")
LOWER_IS_BETTER = (POS, DEL, NDCG)
DRAWS, INTERVAL = 2000, (2.5, 97.5)
"""Bootstrap samples of the users, and the percentiles that bound an interval."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Against:
    """The own order against another one: mean difference over users, with its 95 % bootstrap interval.

    Attributes:
        difference: own minus other.
        low: lower end.
        high: upper end.
        better: whether the own order is better, the interval being beyond zero.
        worse: whether it is worse, likewise.
    """

    difference: float
    low: float
    high: float
    better: bool
    worse: bool


@dataclass(frozen=True)
class Fidelity:
    """How faithful the explanations of a model are.

    Attributes:
        users: users whose best item was explained: those of whom more than `REMOVED` different items are read.
        skipped: users that have fewer.
        k: length of the list.
        unit: what DEL and INS count.
        means: by order and metric, the value at K_e = 1, 2, ... `REMOVED`.
        against: by order but the own one, and metric, the own order against it at each K_e.
    """

    users: int
    skipped: int
    k: int
    unit: str
    means: Mapping[str, Mapping[str, tuple[float, ...]]]
    against: Mapping[str, Mapping[str, tuple[Against, ...]]]

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as plain lists and texts."""
        document: dict[str, Any] = adapter_of(type(self)).dump_python(self, mode="json")
        return document


def measure_fidelity(
    explainer: Explainer, rules: Rules, k: int = 10, users: int = 200, seed: int = 0, progress: Progress = SILENT
) -> Fidelity:
    """Return the fidelity of explanations of the best items of users, evenly spaced over the log.

    Args:
        explainer: explains the model.
        rules: which items are candidates.
        k: length of the list.
        users: users at most.
        seed: of the random order, and of the bootstrap.
        progress: advanced by every user.

    Raises:
        DataError: fewer than two users have enough items.
    """
    window = window_of(explainer.fallback.scorer)
    read = [ReadHistory.of(codes, window) for codes in explainer.fitted.split.histories]
    usable = [row for row, history in enumerate(read) if len(history.items) > REMOVED]
    if len(usable) < 2:
        raise DataError(
            f"Fidelity removes up to {REMOVED} items, but {len(usable):,} of {len(read):,} users have more than "
            f"{REMOVED} different items that the model reads; expected two at least."
        )
    chosen = [usable[row] for row in evenly_spaced(len(usable), users)]
    best = top_k(explainer.scorer, [read[row].codes for row in chosen], 1, rules)
    progress.start("removing items", len(chosen))
    found: dict[str, list[Values]] = {}
    for number, row in enumerate(chosen):
        progress.advance(1)
        if best.counts[number]:
            for order, values in _of_user(explainer, read[row], best.codes[number, :1], rules, k, [seed, row]).items():
                found.setdefault(order, []).append(values)
    stacked = {order: np.stack(values) for order, values in found.items()}      # [U, metrics, K_e] each
    return Fidelity(
        users=len(next(iter(stacked.values()), ())),
        skipped=len(read) - len(usable),
        k=k,
        unit=unit_of(explainer.fallback.scorer),
        means={order: _by_metric(values.mean(0)) for order, values in stacked.items()},
        against={order: _against(stacked[OWN] - values, seed) for order, values in stacked.items() if order != OWN},
    )


def _of_user(
    explainer: Explainer, history: ReadHistory, item: Codes, rules: Rules, k: int, seed: list[int]
) -> dict[str, Values]:
    """Return the values of one user by order, `[metrics, K_e]` each."""
    forbidden = explainer.forbidden(history.codes, rules)
    found = contributions(explainer.fallback, history, item, forbidden)
    orders = {
        OWN: own_order(history.items, found.values[:, 0]),
        RANDOM: np.random.default_rng(seed).permutation(history.items),
        **null_orders(history.items, explainer.fitted.split.vocabulary.counts),
    }
    rows: dict[tuple[int, ...], int] = {}  # what is left, as places of the window
    histories: list[History] = []

    def row_of(left: History) -> int:
        key = tuple(left.tolist())
        if key not in rows:
            rows[key] = len(histories)
            histories.append(left)
        return rows[key]

    counts = range(1, REMOVED + 1)
    asked = {
        name: [
            [row_of(history.without(order[:n].tolist())) for n in counts],
            [row_of(history.without(order[-n:].tolist())) for n in counts],
            [row_of(history.only(order[:n].tolist())) for n in counts],
        ]
        for name, order in orders.items()
    }
    scored = score(explainer.fallback, histories, item, forbidden)
    scores, ranks = scored.scores[:, 0].astype(np.float64), scored.ranks[:, 0]
    return {
        name: np.stack(
            [ranks[first] <= k, ranks[last] <= k, scores[first], scores[alone], 1 / np.log2(1 + ranks[first])]
        )
        for name, (first, last, alone) in asked.items()
    }


def _by_metric(values: Values) -> dict[str, tuple[float, ...]]:
    return {metric: tuple(row) for metric, row in zip(METRICS, values.tolist(), strict=True)}


def _against(differences: Values, seed: int) -> dict[str, tuple[Against, ...]]:
    """Return the mean differences `[U, metrics, K_e]` of the own order with their intervals, by metric."""
    told = {}
    for number, metric in enumerate(METRICS):
        each = []
        for values in differences[:, number].T:                          # [U]
            drawn = bootstrap_means(values, DRAWS, np.random.default_rng(seed))
            low, high = np.percentile(drawn, INTERVAL).tolist()
            below, above = high < 0, low > 0
            better, worse = (below, above) if metric in LOWER_IS_BETTER else (above, below)
            each.append(Against(float(values.mean()), low, high, better, worse))
        told[metric] = tuple(each)
    return told
