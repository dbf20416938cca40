"""What names say of what comes next: the directions in which the names of consecutive items agree.

With t_i the name of item i on the principal components of all names, over the training histories:

    z_i = S^(-1/2) (t_i - m)                     m, S: mean and covariance over all interactions
    C   = E[(z_i z_j' + z_j z_i') / 2] = Q diag(rho) Q'     over items i != j, j next after i
    e_i = max(rho - chance, 0) * Q' z_i          chance: rho of the same names, dealt out to other items

rho_d is the correlation of an item with the next one along direction d, the canonical correlation of both (Hotelling,
"Relations between two sets of variates", 1936) where neither goes before the other. What names share by chance, and
what frequent items have in common with themselves, is there with permuted names too, and taken off: names that say
nothing of what comes next are zero, and names that say much are large.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from mltfr.interactions.histories import Histories

Matrix = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
CHUNK = 1 << 13
"""Names that are copied at a time."""
RIDGE = 0.1
"""Share of the mean variance that every direction is given besides its own, so that rare ones are not blown up."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """The directions of names in which consecutive items agree, in order.

    Attributes:
        mean: m, `[R]`.
        directions: `[R, D]`: a name, less the mean, times these has the components `Q' z`.
        correlations: rho, `[D]`.
        chance: the correlations of permuted names, `[D]`.
    """

    mean: Matrix
    directions: Matrix
    correlations: Matrix
    chance: Matrix

    @property
    def beyond_chance(self) -> Matrix:
        """How much more consecutive items agree in every direction than permuted names do, `[D]`."""
        return np.clip(self.correlations - self.chance, 0, None)

    @property
    def map(self) -> Matrix:
        """Return the directions, each as long as items agree in it, `[R, D]`: names, less the mean, times it are e."""
        return self.directions * self.beyond_chance

    def vectors(self, names: Vectors) -> Vectors:
        """Return the names on these directions, as long in each as items agree in it: `[N, R]` -> `[N, D]`."""
        return names @ self.map.astype(np.float32) - (self.mean @ self.map).astype(np.float32)

    def line(self) -> str:
        """Return in words how much names say of what comes next."""
        first, chance = self.correlations[0], self.chance[0]
        lasting = int((self.beyond_chance > 0).sum())
        return (
            f"names of consecutive items agree with correlation {first:.2f} in the first direction (names dealt out at "
            f"random: {chance:.2f}), and beyond chance in {lasting} of {len(self.correlations)}"
        )

    def to_json(self) -> dict[str, list[float]]:
        """Return the correlations of the directions, and those of permuted names."""
        return {"correlations": self.correlations.round(4).tolist(), "by_chance": self.chance.round(4).tolist()}


def agreement(names: Vectors, there: npt.NDArray[np.bool_], histories: Histories, dimensions: int) -> Agreement:
    """Return the directions in which the names of consecutive items agree.

    Args:
        names: `[I, R]`, of the items 1 to I.
        there: bool `[I]`, which of them have one.
        histories: the training histories.
        dimensions: number of directions D; those behind the R-th are zero.
    """
    mean, directions, correlations = _directions(names, *_consecutive(histories, there), dimensions)
    named, dealt = np.flatnonzero(there), np.arange(len(there))
    dealt[named] = np.random.default_rng(0).permutation(named)
    chance = _directions(names, *_consecutive(histories, there, dealt), dimensions)[2]
    return Agreement(mean, directions, correlations, chance)


def _consecutive(
    histories: Histories, there: npt.NDArray[np.bool_], name_of: npt.NDArray[np.int64] | None = None
) -> tuple[csr_array, Matrix]:
    """Return how often a name follows another one, `[I, I]`, and how often each occurs, `[I]`.

    Args:
        histories: the training histories.
        there: bool `[I]`, which items have a name.
        name_of: `[I]`, whose name every item goes by; its own if not given.
    """
    items = histories.items.astype(np.int64) - 1  # [T], -1 where unknown
    named = (items >= 0) & there[items]
    users = np.repeat(np.arange(len(histories)), np.diff(histories.offsets))  # [T]
    follows = (users[:-1] == users[1:]) & named[:-1] & named[1:] & (items[:-1] != items[1:])
    names = items if name_of is None else name_of[items]
    before, after = names[:-1][follows], names[1:][follows]
    pairs = csr_array((np.ones(len(before), np.float32), (before, after)), (len(there), len(there)))
    return pairs, np.bincount(names[named], minlength=len(there)).astype(np.float64)


def _directions(names: Vectors, pairs: csr_array, counts: Matrix, dimensions: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return the mean `[R]`, the directions `[R, D]` and their correlations `[D]`, the largest first."""
    width, occurrences = names.shape[1], max(1.0, counts.sum())
    mean = sum((counts[rows] @ names[rows] for rows in _chunks(names)), np.zeros(width)) / occurrences  # [R]
    covariance, follow = _moments(names, mean.astype(np.float32), pairs, counts.astype(np.float32))  # [R, R] each
    variances, axes = np.linalg.eigh(covariance / occurrences)
    spread = np.clip(variances, 0, None) + RIDGE * max(float(variances.mean()), np.finfo(np.float64).tiny)
    whiten = axes / np.sqrt(spread)  # [R, R]
    both = whiten.T @ (follow + follow.T) @ whiten / (2 * max(1.0, float(pairs.sum())))
    correlations, turned = np.linalg.eigh(both)
    order = np.argsort(-correlations, kind="stable")[:dimensions]
    basis = whiten @ turned[:, order]  # [R, <= D]
    basis *= np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(len(order))])  # signs are arbitrary
    directions, found = np.zeros((width, dimensions)), np.zeros(dimensions)
    directions[:, : len(order)], found[: len(order)] = basis, correlations[order]
    return mean, directions, found


def _moments(names: Vectors, mean: Vectors, pairs: csr_array, counts: Vectors) -> tuple[Matrix, Matrix]:
    """Return the sums, over all occurrences and over all pairs, of the products of names less the mean, `[R, R]`."""
    squares, follow = np.zeros((2, len(mean), len(mean)))
    for rows in _chunks(names):
        centred, next_of = names[rows] - mean, pairs[rows]
        squares += (centred.T * counts[rows]) @ centred
        follow += centred.T @ (next_of @ names - np.outer(next_of.sum(axis=1), mean))
    return squares, follow


def _chunks(names: Vectors) -> Iterator[slice]:
    """Return the rows that are copied at a time: copies of all names would be larger than the model."""
    return (slice(start, start + CHUNK) for start in range(0, len(names), CHUNK))
