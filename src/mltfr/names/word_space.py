"""Items beside the words that they have, reduced by SVD: names as the words themselves, without any table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import norm, svds

from mltfr.names.space import CHUNK, SMALLEST, components

Matrix = npt.NDArray[np.float64]
DENSE = 1024
"""Words or items up to which all singular vectors are computed at once."""


@dataclass(frozen=True, eq=False)
class WordSpace:
    """The space that items lie in by their words (latent semantic analysis, Deerwester et al. 1990).

    Attributes:
        mean: `[k]`, of the items on the first singular vectors.
        singular: `[U, k]`, these singular vectors; there are D or fewer.
        basis: `[k, D]`, which scales and orders what is projected.
        kept: share of the items' squared lengths that the singular vectors keep.
    """

    mean: Matrix
    singular: Matrix
    basis: Matrix
    kept: float

    def vectors(self, weights: csr_array) -> npt.NDArray[np.float32]:
        """Return vectors `[N, D]` of items by the weights of their words `[N, U]`; zero where they have none."""
        rows = _of_length_one(weights)
        found = np.zeros((rows.shape[0], self.basis.shape[1]), np.float32)
        for chunk, some in _chunks(rows):
            there = np.diff(some.indptr) > 0
            found[chunk] = (some @ self.singular - self.mean) * there[:, None] @ self.basis
        return found


def word_space(weights: csr_array, dimensions: int, whiten: bool = False) -> WordSpace:
    """Return the space of items by their words.

    The rows of the matrix of items and words, by their weights and of length 1, are projected onto its first singular
    vectors, centred over the items that have a word, and scaled as `components` does.

    Args:
        weights: `[I, U]`, sparse; zero where an item lacks a word.
        dimensions: number of components D.
        whiten: whether all components get the same variance.
    """
    rows = _of_length_one(weights)
    singular = _right_singular(rows, dimensions)
    named = (np.diff(rows.indptr) > 0).sum()
    total, squares = np.zeros((2, singular.shape[1]))                               # [k]
    for _, some in _chunks(rows):
        places = some @ singular
        total += places.sum(axis=0)
        squares += np.square(places).sum(axis=0)
    mean, kept = total / named, float(squares.sum()) / named
    variances = squares / named - np.square(mean)                                   # [k]
    variances[variances < SMALLEST * squares / named] = 0                           # noise of the difference
    basis, _ = components(variances, np.eye(len(variances)), dimensions, whiten)    # [k, D]
    return WordSpace(mean, singular, basis, kept)


def _of_length_one(weights: csr_array) -> csr_array:
    """Return the rows, each of length 1 or empty."""
    lengths = norm(weights, axis=1)
    return csr_array(diags_array(1 / np.maximum(lengths, np.finfo(np.float32).tiny)) @ weights.astype(np.float64))


def _chunks(rows: csr_array) -> Iterator[tuple[slice, csr_array]]:
    """Yield some rows after others, and where they stand; what is made of all would be larger than the model."""
    for start in range(0, rows.shape[0], CHUNK):
        chunk = slice(start, start + CHUNK)
        yield chunk, rows[chunk]


def _right_singular(rows: csr_array, dimensions: int) -> Matrix:  # [I, U] -> [U, k]
    """Return the first right singular vectors, of which there are k, D or fewer; the same at every call."""
    items, words = rows.shape
    if words <= max(DENSE, dimensions + 1):
        return np.asarray(np.linalg.eigh((rows.T @ rows).toarray())[1][:, ::-1][:, :dimensions])
    if items <= max(DENSE, dimensions + 1):
        squares, left = np.linalg.eigh((rows @ rows.T).toarray())
        squares, left = squares[::-1][:dimensions], left[:, ::-1][:, :dimensions]
        varies = squares > SMALLEST * squares[0]
        return np.asarray(rows.T @ left[:, varies]) / np.sqrt(squares[varies])
    start = np.random.default_rng(0).standard_normal(min(rows.shape))
    _, _, right = svds(rows, dimensions, v0=start, return_singular_vectors="vh")
    return np.asarray(right.T)
