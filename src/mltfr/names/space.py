"""Vectors of names: weighted means of their tokens' rows, table by table, and the principal components of all tables.

SIF (Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR 2017): a text is the
weighted mean of its words, without the direction that all texts share most. Everything after the means is linear, so
that a name is `sum over tables n of (mean of its tokens' rows of table n - m_n) B_n`, and no more than a few thousand
names are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import block_diag
from scipy.sparse import csr_array

from mltfr.names.agreement import Agreement

Matrix = npt.NDArray[np.float64]
CHUNK = 1 << 13
"""Names whose means are in memory at a time."""
SMALLEST = 1e-10
"""Variances below this share of the largest are noise of the arithmetic."""


@dataclass(frozen=True, eq=False)
class TablePart:
    """What one table says about the names.

    Attributes:
        name: name of the table.
        weights: `[I, V]`, sparse; the weight of every token of every item, in all 1; zeros where a table spells
            none of a name's words.
        vectors: float32 `[V, W]`, rows of these tokens.
    """

    name: str
    weights: csr_array
    vectors: npt.NDArray[np.float32]

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """Which items the table says something about, `[I]`."""
        return np.diff(self.weights.indptr) > 0

    def mean(self) -> Matrix:
        """Return the mean of the vectors of all names, `[W]`."""
        share = self.weights.sum(axis=0) / max(1, int(self.there.sum()))        # [V]
        return np.asarray(share, np.float64) @ self.vectors.astype(np.float64)


@dataclass(frozen=True, eq=False)
class NameSpace:
    """The space that names of several tables lie in together.

    Attributes:
        means: m_n `[W_n]` of every table.
        maps: B_n `[W_n, D]` of every table: a token's row, less the mean, times it lies where the names lie.
        kept: share of the names' variance that the principal components keep.
        shift: `[D]`, or 0; what is taken off the place of a token besides.
    """

    means: dict[str, Matrix]
    maps: dict[str, Matrix]
    kept: float
    shift: Matrix | float = 0.0

    def onto(self, agreement: Agreement) -> Self:
        """Return the space turned onto the directions that agree; the tables share what is taken off there."""
        maps = {name: basis @ agreement.map for name, basis in self.maps.items()}
        return replace(self, maps=maps, shift=agreement.mean @ agreement.map / len(maps))

    def offset(self, name: str) -> Matrix:
        """Return what is added to a token's row times the map of its table, `[D]`."""
        return -self.means[name] @ self.maps[name] - self.shift

    def vectors(self, parts: Sequence[TablePart]) -> npt.NDArray[np.float32]:  # -> [I, D]
        """Return the vectors of names; zero where no table says anything."""
        tokens = [(part.vectors - self.means[part.name]) @ self.maps[part.name] for part in parts]  # [V, D] each
        found = np.zeros((parts[0].weights.shape[0], tokens[0].shape[1]), np.float32)
        for start in range(0, len(found), CHUNK):
            rows = slice(start, start + CHUNK)
            found[rows] = sum(part.weights[rows] @ of_table for part, of_table in zip(parts, tokens, strict=True))
        return found


def name_space(
    parts: Sequence[TablePart], dimensions: int, remove_first: bool = True, whiten: bool = False
) -> NameSpace:
    """Return the space of names: every table with equal total variance, then the principal components of all.

    Over the names, the components have a mean square of 1 together, or with `whiten` each. Where there are fewer
    directions than components, the others are zero.

    Args:
        parts: what every table says about the names.
        dimensions: number of components D.
        remove_first: whether each table's first direction, of the names as they are before centring, is removed.
        whiten: whether all components get the same variance.
    """
    means, there = [part.mean() for part in parts], [part.there for part in parts]
    scatter = _scatter(parts, means)                                                # [sum W, sum W]
    edges = np.cumsum([0, *map(len, means)])
    scalings = []
    for mean, has, start, stop in zip(means, there, edges[:-1], edges[1:], strict=True):
        own = scatter[start:stop, start:stop]                                       # [W, W]
        left = np.eye(len(mean))
        if remove_first:
            first = np.linalg.eigh(own + has.sum() * np.outer(mean, mean))[1][:, -1:]   # [W, 1]
            left -= first @ first.T
        variance = np.trace(left @ own @ left)
        scalings.append(left / np.sqrt(variance) if variance > SMALLEST * np.trace(own) else 0 * left)
    scaling = block_diag(*scalings)                                                 # [sum W, sum W]
    variances, axes = np.linalg.eigh(scaling.T @ scatter @ scaling / np.any(there, axis=0).sum())
    basis, kept = components(variances, scaling @ axes, dimensions, whiten)         # [sum W, D]
    maps = {part.name: basis[start:stop] for part, start, stop in zip(parts, edges[:-1], edges[1:], strict=True)}
    return NameSpace({part.name: mean for part, mean in zip(parts, means, strict=True)}, maps, kept)


def components(variances: Matrix, axes: Matrix, dimensions: int, whiten: bool) -> tuple[Matrix, float]:
    """Return the axes of the largest variances, scaled so that what is projected has a mean square of 1, and the share
    of the variance that they keep.

    Args:
        variances: `[W]`.
        axes: `[W', W]`, one column for each.
        dimensions: number of axes D; those that there are not, or that nothing varies along, are zero.
        whiten: whether each component gets the mean square 1, or all together.
    """
    order = np.argsort(-variances, kind="stable")[:dimensions]
    chosen, total = np.clip(variances[order], 0, None), float(np.clip(variances, 0, None).sum())
    varies = chosen > SMALLEST * max(float(chosen.max(initial=0)), np.finfo(np.float64).tiny)
    spread = np.sqrt(chosen if whiten else np.full(len(chosen), chosen.sum() / dimensions))
    turned = axes[:, order]
    turned = turned * np.sign(turned[np.abs(turned).argmax(axis=0), np.arange(len(order))])   # signs are arbitrary
    basis = np.zeros((len(axes), dimensions))
    basis[:, : len(order)][:, varies] = turned[:, varies] / spread[varies]
    return basis, float(chosen.sum()) / total if total > 0 else 1.0


def _scatter(parts: Sequence[TablePart], means: Sequence[Matrix]) -> Matrix:
    """Return the sum over all names of the products of their centred components, the tables side by side."""
    width = sum(map(len, means))
    total = np.zeros((width, width))
    for chunk in _chunks(parts, means):
        total += chunk.T @ chunk
    return total


def _chunks(parts: Sequence[TablePart], means: Sequence[Matrix]) -> Iterator[Matrix]:
    """Yield the centred vectors of some names, `[C, sum W]`; what a table says nothing about is its mean."""
    there = [part.there for part in parts]
    for start in range(0, len(there[0]), CHUNK):
        rows = slice(start, start + CHUNK)
        yield np.hstack([
            part.weights[rows] @ part.vectors - np.outer(has[rows], mean)
            for part, has, mean in zip(parts, there, means, strict=True)
        ])  # fmt: skip
