"""Sparse matrices of items: made from histories, multiplied, kept as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from mltfr.interactions import Histories, History
from mltfr.interactions.collate import known_items

CELLS = 1 << 22
"""Cells of a block that is made dense: 16 MiB of float32."""
PARTS = ("offsets", "codes", "values")


def user_item_matrix(histories: Histories, items: int) -> sparse.csr_array:
    """Return who chose what, float32 `[U, I]`: 1 where a user has the item, however often."""
    rows = np.repeat(np.arange(len(histories)), histories.lengths)       # [T]
    known = histories.items > 0
    cells = np.unique(rows[known] * items + histories.items[known] - 1)
    offsets = np.searchsorted(cells, np.arange(len(histories) + 1) * items)
    return sparse.csr_array(
        (np.ones(len(cells), np.float32), cells % items, offsets), shape=(len(histories), items)
    )


def recency_weights(
    histories: Sequence[History], items: int, decay: float, last: int | None = None
) -> sparse.csr_array:
    """Return the weights of the items of B histories, float32 `[B, I]`.

    An item weighs `decay ** age`, its age being the number of known items after it; one that came several
    times counts once, at its last position.

    Args:
        histories: B histories; unknown items are left out.
        items: number of items I.
        decay: weight of an item over that of the next newer one; 1 for equal weights.
        last: how many items, from the end, count; all if not given.
    """
    rows, codes = known_items(histories)                                 # [T], [T]
    lengths = np.bincount(rows, minlength=len(histories))                # [B]
    age = np.cumsum(lengths)[rows] - 1 - np.arange(len(rows))            # [T], 0 at the last item
    if last is not None:
        kept = age < last
        rows, codes, age = rows[kept], codes[kept], age[kept]
    cells, place = np.unique((rows * items + codes - 1)[::-1], return_index=True)
    weights = np.power(float(decay), age[::-1][place]).astype(np.float32)
    offsets = np.searchsorted(cells, np.arange(len(histories) + 1) * items)
    return sparse.csr_array((weights, cells % items, offsets), shape=(len(histories), items))


def item_weights(
    history: History, items: int, decay: float, last: int | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the codes of a history's known items, each once, and their weights, `[N]` each; see `recency_weights`."""
    weights = recency_weights([history], items, decay, last)             # [1, I]
    return weights.indices.astype(np.int64) + 1, weights.data


def dense_columns(matrix: sparse.csr_array, start: int, stop: int) -> Tensor:
    """Return the columns of the item codes `start` to `stop - 1`, float32 `[B, stop - start]`."""
    everything = start == 1 and stop == matrix.shape[1] + 1
    part = matrix if everything else matrix[:, start - 1 : stop - 1]
    return torch.from_numpy(part.toarray())


def row_blocks(rows: int, columns: int) -> list[slice]:
    """Return the slices of rows whose blocks, made dense, have at most `CELLS` cells."""
    size = max(1, CELLS // max(1, columns))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def largest_of_rows(block: sparse.csr_array, keep: int) -> sparse.csr_array:
    """Return the `keep` largest stored cells of every row; of equal ones those of the lower columns.

    Args:
        block: float32 `[R, C]`; its stored zeros are left out.
        keep: how many, at most.
    """
    block.eliminate_zeros()
    block.sort_indices()
    offsets, values = block.indptr, block.data
    kept = np.ones(len(values), np.bool_)
    for row in np.flatnonzero(np.diff(offsets) > keep):
        part = slice(offsets[row], offsets[row + 1])
        least = np.partition(values[part], -keep)[-keep]                 # the last that is kept
        above, level = values[part] > least, values[part] == least
        kept[part] = above | (level & (np.cumsum(level) <= keep - above.sum()))
    shorter = np.concatenate([[0], np.cumsum(kept)])[offsets]
    return sparse.csr_array((values[kept], block.indices[kept], shorter), shape=block.shape)


def to_tensors(matrix: sparse.csr_array) -> dict[str, Tensor]:
    """Return a matrix as tensors: int64 `offsets`, int32 `codes` (columns), float32 `values`."""
    matrix.sort_indices()
    parts = (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data.astype(np.float32))
    return {name: torch.from_numpy(part) for name, part in zip(PARTS, parts, strict=True)}


def from_tensors(tensors: Mapping[str, Tensor], square: bool = True) -> sparse.csr_array:
    """Return the matrix that `to_tensors` took apart.

    Args:
        tensors: its parts.
        square: whether it has as many columns as rows; otherwise its last column is the last one that is not empty.

    Raises:
        KeyError, ValueError: the tensors are no such matrix.
    """
    offsets, codes, values = (tensors[name].numpy() for name in PARTS)
    rows = len(offsets) - 1
    columns = rows if square else int(codes.max(initial=-1)) + 1
    matrix: Any = sparse.csr_array((values, codes, offsets), shape=(rows, columns))
    matrix.check_format(full_check=True)
    return matrix
