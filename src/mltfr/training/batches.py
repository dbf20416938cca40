"""The order of an epoch: shuffled by seed, batched by length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def epoch_generator(seed: int, round_number: int, epoch: int, purpose: int = 0) -> np.random.Generator:
    """Return the generator of one epoch; the same arguments give the same numbers, also after a resume."""
    return np.random.default_rng([seed, round_number, epoch, purpose])


def plan_epoch(lengths: Indices, size: int, bucket: int, rng: np.random.Generator) -> list[Indices]:
    """Return the batches of an epoch as arrays of sample numbers.

    The samples are shuffled, sorted by length within runs of `bucket` batches, cut into batches, and the
    batches shuffled: padding stays small and every sample appears exactly once.
    """
    order = rng.permutation(len(lengths))
    batches: list[Indices] = []
    for start in range(0, len(order), size * bucket):
        run = order[start : start + size * bucket]
        run = run[np.argsort(lengths[run], kind="stable")]
        batches.extend(run[first : first + size] for first in range(0, len(run), size))
    return [batches[number] for number in rng.permutation(len(batches))]
