"""Orders in which items of a history are removed: an explanation's own, and those that know nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mltfr.interactions.collate import Codes

OWN, RECENT, POPULAR, RANDOM = "largest contribution", "most recent", "most popular", "random"
REMOVED = 5
"""How many items an order removes at most (K_e), one after the other."""


def own_order(items: Codes, values: npt.NDArray[np.float32]) -> Codes:
    """Return items by their contributions, the largest first; equal ones stay the newest first.

    Args:
        items: codes, the newest first, int64 `[N]`.
        values: their contributions, `[N]`.
    """
    return items[np.argsort(-values, kind="stable")]


def popular_order(items: Codes, counts: npt.NDArray[np.int64]) -> Codes:
    """Return items by their training interactions, the most first; equal ones stay the newest first."""
    return items[np.argsort(-counts[items], kind="stable")]


def null_orders(items: Codes, counts: npt.NDArray[np.int64]) -> dict[str, Codes]:
    """Return the orders of a history's items, the newest first, that know nothing of scores and are not drawn."""
    return {RECENT: items, POPULAR: popular_order(items, counts)}


def prefixes(orders: Mapping[str, Codes], removed: int = REMOVED) -> dict[str, list[tuple[int, ...]]]:
    """Return the first 1, 2, ... items of every order, by its name; one item at least is left."""
    return {
        name: [tuple(order[:count].tolist()) for count in range(1, min(removed, len(order) - 1) + 1)]
        for name, order in orders.items()
    }
