"""The small log of the tests: users who walk through the items, mostly from item i to item i + 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from mltfr.interactions import InteractionLog, load_interactions

Row = tuple[str, str, int]
"""User id, item id, time."""


def walks(
    users: int = 60, items: int = 25, follow: float = 0.8, shortest: int = 4, longest: int = 13, seed: int = 0
) -> dict[str, list[str]]:
    """Return the history of every user.

    Args:
        users: number of users u0, u1, ...
        items: number of items i0, i1, ...
        follow: probability that a step leads to the next item, not to any.
        shortest: smallest number of steps; a history is shorter where it came by an item twice.
        longest: largest number of steps.
        seed: random seed.
    """
    random = np.random.default_rng(seed)
    found: dict[str, list[str]] = {}
    for user in range(users):
        length = int(random.integers(shortest, longest + 1))
        steps = np.where(random.random(length) < follow, 1, random.integers(1, items, length))
        codes = (random.integers(items) + np.cumsum(steps)) % items
        found[f"u{user}"] = list(dict.fromkeys(f"i{code}" for code in codes))
    return found


def rows(histories: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    """Yield the interactions of histories; an interaction's time is its place in its history."""
    for user, items in histories.items():
        yield from ((user, item, time) for time, item in enumerate(items))


def write_log(path: Path, histories: Mapping[str, Sequence[str]] | None = None) -> dict[str, list[str]]:
    """Write histories, those of `walks()` if none are given, as a CSV log; return them."""
    histories = walks() if histories is None else histories
    lines = ["user_id,item_id,timestamp", *(f"{user},{item},{time}" for user, item, time in rows(histories))]
    path.write_text("\n".join(lines) + "\n")
    return {user: list(items) for user, items in histories.items()}


def as_log(found: Iterator[Row] | Sequence[Row]) -> InteractionLog:
    """Return rows as a log."""
    return load_interactions(pl.DataFrame(list(found), schema=["user_id", "item_id", "timestamp"], orient="row"))
