"""Lists of items as rows that a user reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from mltfr.inference.top_k import TopK
from mltfr.interactions import Vocabulary


def recommendation_table(user_ids: Sequence[str] | pl.Series, best: TopK, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the best items of U users as rows `user_id, rank, item_id, score`, rank from 1, users in their order.

    Args:
        user_ids: `[U]`.
        best: their lists.
        vocabulary: the items' ids.
    """
    rank = np.broadcast_to(np.arange(1, best.codes.shape[1] + 1), best.codes.shape)  # [U, k]
    there = rank <= best.counts[:, None]                                             # [U, k]
    ids = user_ids if isinstance(user_ids, pl.Series) else pl.Series(list(user_ids), dtype=pl.String)
    items = pl.Series("item_id", vocabulary.item_ids, dtype=pl.String)
    return pl.DataFrame(
        {
            "user_id": ids.gather(np.nonzero(there)[0]),
            "rank": rank[there],
            "item_id": items.gather(best.codes[there] - 1),
            "score": best.scores[there],
        }
    )
