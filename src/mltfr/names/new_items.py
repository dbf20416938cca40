"""Vectors of items that training has not seen, from their names: what trained vectors are to names, carried over.

Ridge regression of the trained item vectors y_i on the components t_i of the items' names, weighted by how much is
known of an item, with the mean free, and one regularisation for all components:

    minimise  sum_i w_i |y_i - b - W' t_i|^2 + lambda |W|^2          w_i: training interactions of i
    X = w^(1/2) (t - t_mean) = U diag(s) V'                          t_mean, y_mean: weighted by w
    W = V diag(s / (s^2 + lambda)) U' w^(1/2) (y - y_mean)           b = y_mean - W' t_mean

The vector that item i would have if it were new is known without a further regression (leave-one-out: Allen, "The
relationship between variable selection and data augmentation", 1974):

    as_new_i = y_i - r_i / (1 - h_i)                                 r_i residuals, h_i = w_i / sum w + sum_k u_ik^2 g_k
                                                                     g_k = s_k^2 / (s_k^2 + lambda)

There is a map for every lambda. The one that finds most of known and of new items is taken
(`pipeline/new_item_weights.py`), which need not be the one that predicts vectors best: the less lambda, the longer the
vectors, and the further scores of new items lie apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Matrix = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
REGULARISATIONS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Those that are tried, in units of the mean of the squared singular values."""


@dataclass(frozen=True, eq=False)
class NewNames:
    """The names of items that training knows, and of others, on the same components.

    Attributes:
        item_ids: ids of the others.
        known: float32 `[I, R]`, of the items 1 to I; zero where there is no name.
        new: float32 `[N, R]`, of the others, each of which has one.
        words: float32 `[I + N, U]`, sparse: the weight of every word of every item, of the others last.
    """

    item_ids: tuple[str, ...]
    known: Vectors
    new: Vectors
    words: csr_array


@dataclass(frozen=True, eq=False)
class NewItems:
    """Items that training has not seen, with the vectors that they have beside the trained ones.

    Attributes:
        item_ids: their ids; the n-th one has the code I + n wherever they are candidates.
        vectors: float32 `[N, D]`, as the model's item vectors, with one column more where items have a bias.
        words: float32 `[I + N, U]`, sparse: the weight of every word of every item, of these last.
        weight: share of the items' words in the blend with the model, which has the rest.
        factor: what the scores of new items are multiplied with.
    """

    item_ids: tuple[str, ...]
    vectors: Vectors
    words: csr_array
    weight: float
    factor: float

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True, eq=False)
class NamesToVectors:
    """The map from names to trained vectors.

    Attributes:
        weights: W `[R, D]`.
        mean: b `[D]`.
        regularisation: lambda, in units of the mean of the squared singular values.
        explained: share of the vectors' variance that is predicted from the other items' names; 0 or less: nothing.
        as_new: float32 `[I, D]`, the vector of every trained item as the others' names predict it.
    """

    weights: Matrix
    mean: Matrix
    regularisation: float
    explained: float
    as_new: Vectors

    def vectors(self, names: Vectors) -> Vectors:  # [N, R] -> [N, D]
        """Return the vectors that names stand for."""
        return (names @ self.weights + self.mean).astype(np.float32)


def names_to_vectors(
    names: Vectors,
    vectors: Vectors,
    counts: npt.NDArray[np.int64],
    regularisations: Sequence[float] = REGULARISATIONS,
) -> Iterator[NamesToVectors]:
    """Yield the map from names to trained vectors, by the items that have both, for one regularisation after another.

    Args:
        names: `[I, R]`; zero where there is no name.
        vectors: `[I, D]`, trained.
        counts: training interactions of these items, `[I]`.
        regularisations: lambda, in units of the mean of the squared singular values.

    Raises:
        ValueError: no item has a name; with the first map.
    """
    there = (names != 0).any(axis=1) & (counts > 0)
    if not there.any():
        raise ValueError("no item has a name")
    weights = counts[there].astype(np.float64)                                      # [I']
    t, y = names[there].astype(np.float64), vectors[there].astype(np.float64)       # [I', R], [I', D]
    t_mean, y_mean = (weights @ each / weights.sum() for each in (t, y))
    root = np.sqrt(weights)[:, None]
    u, s, v = np.linalg.svd(root * (t - t_mean), full_matrices=False)               # [I', K], [K], [K, R]
    target = root * (y - y_mean)                                                    # [I', D]
    on_axes, squares, unit = u.T @ target, np.square(s), max(float(np.square(s).mean()), np.finfo(np.float64).tiny)
    total = float(np.square(target).sum())
    for regularisation in regularisations:
        gain = squares / (squares + regularisation * unit)                          # [K]
        leverage = weights / weights.sum() + np.einsum("ik,ik,k->i", u, u, gain)    # [I'], without a copy of u
        left_out = (target - u @ (gain[:, None] * on_axes)) / np.maximum(1 - leverage, 1e-9)[:, None]  # r / (1 - h)
        weight = v.T @ ((s / (squares + regularisation * unit))[:, None] * on_axes)                    # [R, D]
        mean, explained = y_mean - t_mean @ weight, 1 - float(np.square(left_out).sum()) / total if total > 0 else 0.0
        as_new = (names @ weight + mean).astype(np.float32)                         # [I, D]
        as_new[there] = y - left_out / root
        yield NamesToVectors(weight, mean, regularisation, explained, as_new)
