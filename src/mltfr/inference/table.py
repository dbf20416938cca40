"""Lists of items as rows that a user reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from torch import Tensor

from mltfr.inference.top_k import TopK
from mltfr.interactions import Vocabulary

FEW_ROWS = 100
"""Rows of an answer up to which ids are looked up one by one."""


def recommendation_table(user_ids: Sequence[str] | pl.Series, best: TopK, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the best items of U users as rows `user_id, rank, item_id, score`, rank from 1, users in their order.

    Args:
        user_ids: `[U]`.
        best: their lists.
        vocabulary: the items' ids.
    """
    rank = np.broadcast_to(np.arange(1, best.codes.shape[1] + 1), best.codes.shape)  # [U, k]
    there = rank <= best.counts[:, None]                                             # [U, k]
    return pl.DataFrame(
        {
            "user_id": _gather(user_ids, np.nonzero(there)[0]),
            "rank": rank[there],
            "item_id": _gather(vocabulary.ids, best.codes[there] - 1),
            "score": best.scores[there],
        }
    )


def similarity_table(name: str, values: Tensor, k: int, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the k items of the largest finite values `[I]` as rows `rank, item_id` and `name`, rank from 1."""
    best = values.topk(min(k, int(values.isfinite().sum())))
    return pl.DataFrame(
        {
            "rank": np.arange(1, len(best.indices) + 1),
            "item_id": vocabulary.decode((best.indices + 1).tolist()),
            name: best.values.cpu().numpy(),
        }
    )


def _gather(texts: Sequence[str] | pl.Series, places: npt.NDArray[np.int64]) -> pl.Series:
    """Return the texts at some places; one by one where they are few, which starts no query engine."""
    if len(places) <= FEW_ROWS:
        return pl.Series([texts[place] for place in places.tolist()], dtype=pl.String)
    column = texts if isinstance(texts, pl.Series) else pl.Series(list(texts), dtype=pl.String)
    return column.gather(places)
