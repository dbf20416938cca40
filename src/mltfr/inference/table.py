"""Tables of items with their ids, as users read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.inference.top_k import TopK
from mltfr.interactions import Vocabulary

SMALL_TABLE = 100
"""Rows up to which ids are looked up one by one."""


def recommendation_table(user_ids: Sequence[str] | pl.Series, best: TopK, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the best items of U users as rows `user_id, rank, item_id, score`, rank from 1, users in their order.

    Args:
        user_ids: `[U]`.
        best: their lists.
        vocabulary: the items' ids.
    """
    rank = np.broadcast_to(np.arange(1, best.codes.shape[1] + 1), best.codes.shape)  # [U, k]
    listed = rank <= best.counts[:, None]                                            # [U, k]
    return pl.DataFrame(
        {
            "user_id": _gather(user_ids, np.nonzero(listed)[0]),
            "rank": rank[listed],
            "item_id": _gather(vocabulary.ids, best.codes[listed] - 1),
            "score": best.scores[listed],
        }
    )


def _gather(ids: Sequence[str] | pl.Series, rows: npt.NDArray[np.int64]) -> pl.Series:
    """Return the ids in some rows; one by one where they are few, which starts no query engine."""
    if len(rows) <= SMALL_TABLE:
        return pl.Series([ids[row] for row in rows.tolist()], dtype=pl.String)
    column = ids if isinstance(ids, pl.Series) else pl.Series(list(ids), dtype=pl.String)
    return column.gather(rows)
