"""The order of an epoch: shuffled by seed, batched by length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from mltfr.objectives.base import Indices

ORDER, BATCH, REFRESH, FISHER, WARM_START = range(5)
"""Purposes of an epoch's random numbers: see `epoch_generator`."""


def epoch_generator(seed: int, round_number: int, epoch: int, purpose: int = 0) -> np.random.Generator:
    """Return the generator of one epoch; the same arguments give the same numbers, also after a resume."""
    return np.random.default_rng([seed, round_number, epoch, purpose])


class EpochPlan(Sequence[Indices]):
    """The batches of an epoch, each an array of sample numbers, int64 `[B]`.

    Args:
        order: all samples, batch by batch; of a type just wide enough, since there may be as many as interactions.
        size: samples in a batch.
        turns: numbers of the batches, in the order of the epoch.
    """

    def __init__(self, order: npt.NDArray[np.integer], size: int, turns: npt.NDArray[np.integer]) -> None:
        self.order, self.size, self.turns = order, size, turns

    def __len__(self) -> int:
        return len(self.turns)

    @overload
    def __getitem__(self, place: int) -> Indices: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Indices]: ...
    def __getitem__(self, place: int | slice) -> Indices | Sequence[Indices]:
        if isinstance(place, slice):
            return EpochPlan(self.order, self.size, self.turns[place])
        first = int(self.turns[place]) * self.size
        return self.order[first : first + self.size].astype(np.int64)


def plan_epoch(
    count: int,
    lengths: Callable[[npt.NDArray[np.integer]], Indices],
    size: int,
    bucket: int,
    rng: np.random.Generator,
) -> Sequence[Indices]:
    """Return the batches of an epoch as arrays of sample numbers.

    The samples are shuffled, sorted by length within runs of `bucket` batches, cut into batches, and the
    batches shuffled: padding stays small and every sample appears exactly once.

    Args:
        count: number of samples N.
        lengths: returns the lengths of samples `[B]`, int64 `[B]`.
        size: samples in a batch.
        bucket: batches that are sorted together.
        rng: draws the order.
    """
    kind = np.int32 if count <= np.iinfo(np.int32).max else np.int64
    order = rng.permutation(np.arange(count, dtype=kind))  # of any type the same permutation
    for start in range(0, count, size * bucket):
        run = order[start : start + size * bucket]
        run[:] = run[np.argsort(lengths(run), kind="stable")]
    return EpochPlan(order, size, rng.permutation(-(-count // size)))
