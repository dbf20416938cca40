"""The control that knows no tables: items beside the words that they have, reduced by SVD."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import norm, svds

from mltfr.names.space import components

DENSE = 1024
"""Words or items up to which all singular vectors are computed at once."""


def bag_of_words(weights: csr_array, dimensions: int, whiten: bool = False) -> tuple[npt.NDArray[np.float32], float]:
    """Return vectors `[I, D]` of items by latent semantic analysis, and the share of the variance that they keep.

    The rows of the matrix of items and words, by their weights and of length 1, are projected onto its first singular
    vectors (Deerwester et al. 1990), centred over the items that have a word, and scaled as `components` does.

    Args:
        weights: `[I, U]`, sparse; zero where an item lacks a word.
        dimensions: number of components D.
        whiten: whether all components get the same variance.
    """
    lengths = norm(weights, axis=1)                                                 # [I]
    rows = diags_array(1 / np.maximum(lengths, np.finfo(np.float32).tiny)) @ weights.astype(np.float64)
    places, there = _projected(rows, dimensions), lengths > 0                       # [I, k], [I]
    kept = float(np.square(places).sum()) / max(1, int(there.sum()))
    places = (places - places[there].mean(axis=0)) * there[:, None]
    variances = np.square(places[there]).mean(axis=0)                               # [k]
    basis, _ = components(variances, np.eye(len(variances)), dimensions, whiten)    # [k, D]
    return (places @ basis).astype(np.float32), kept


def _projected(rows: csr_array, dimensions: int) -> npt.NDArray[np.float64]:  # [I, U] -> [I, k]
    """Return rows on their first singular vectors, of which there are k, D or fewer; the same at every call."""
    items, words = rows.shape
    if words <= max(DENSE, dimensions + 1):
        return np.asarray(rows @ np.linalg.eigh((rows.T @ rows).toarray())[1][:, ::-1][:, :dimensions])
    if items <= max(DENSE, dimensions + 1):
        squares, left = np.linalg.eigh((rows @ rows.T).toarray())
        return np.asarray((left * np.sqrt(np.clip(squares, 0, None)))[:, ::-1][:, :dimensions])
    start = np.random.default_rng(0).standard_normal(min(rows.shape))
    left, values, _ = svds(rows, dimensions, v0=start, return_singular_vectors="u")
    return np.asarray(left * values)
