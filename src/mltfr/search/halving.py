"""Successive halving: all begin, and the better ones are trained on (Jamieson & Talwalkar, AISTATS 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

SURVIVORS = 2
"""Networks that are trained to their end, at least."""
USUAL_EPOCHS = 20
"""Epochs after which a training usually ends by itself, to tell how many networks the time allows."""


def promoted(scores: Mapping[str, float | None], keep: float) -> list[str]:
    """Return the names of those that are trained on, best first; of equals the first.

    Args:
        scores: best validation score of everyone's epochs so far; None where it has failed.
        keep: share of them that are kept.
    """
    known = [(value, name) for name, value in scores.items() if value is not None]
    best = sorted(known, key=lambda pair: pair[0], reverse=True)
    return [name for _, name in best[: max(SURVIVORS, ceil(keep * len(scores)))]]


def work_of_all(networks: int, rungs: Sequence[int], keep: float) -> tuple[int, int]:
    """Return how many epochs all rungs take, of so many networks, and how many processes."""
    epochs, processes, before = 0, 0, 0
    for rung in (*rungs, max(USUAL_EPOCHS, *rungs, 0)):
        epochs += networks * (rung - before)
        processes += networks
        networks, before = min(networks, max(SURVIVORS, ceil(keep * networks))), rung
    return epochs, processes


def how_many(
    most: int, begun: int, rungs: Sequence[int], keep: float, epoch: float, starting: float, seconds: float
) -> int:
    """Return how many further networks the time allows.

    Args:
        most: maximum.
        begun: networks that have been trained to the first rung already.
        rungs: epochs of the rungs.
        keep: share that is kept at each.
        epoch: seconds that an epoch takes.
        starting: seconds that a process takes to start.
        seconds: what all processes together have.
    """
    done = begun * rungs[0] if rungs else 0
    for count in range(most, 0, -1):
        epochs, processes = work_of_all(begun + count, rungs, keep)
        if epoch * (epochs - done) + starting * (processes - begun) <= seconds:
            return count
    return 0
