"""What recommendations look like to the one who asked: rows with ids, and a word on what was not understood."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.errors import MltfrWarning
from mltfr.inference.requests import ItemList, Requests
from mltfr.inference.top_k import TopK
from mltfr.interactions import Vocabulary

FEW_ROWS = 100
"""Rows of an answer up to which ids are looked up one by one."""


def answer(requests: Requests, best: TopK, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the best items as rows `user_id, rank, item_id, score`, users in the order of the requests."""
    rank = np.broadcast_to(np.arange(1, best.codes.shape[1] + 1), best.codes.shape)  # [U, k]
    there = rank <= best.counts[:, None]                                             # [U, k]
    return pl.DataFrame(
        {
            "user_id": _gather(requests.user_ids, np.nonzero(there)[0]),
            "rank": rank[there],
            "item_id": _gather(vocabulary.ids, best.codes[there] - 1),
            "score": best.scores[there],
        }
    )


def _gather(texts: Sequence[str] | pl.Series, places: npt.NDArray[np.int64]) -> pl.Series:
    """Return the texts at some places; one by one where they are few, which starts no query engine."""
    if len(places) <= FEW_ROWS:
        return pl.Series([texts[place] for place in places.tolist()], dtype=pl.String)
    column = texts if isinstance(texts, pl.Series) else pl.Series(list(texts), dtype=pl.String)
    return column.gather(places)


def say_what_was_skipped(requests: Requests, *lists: ItemList) -> None:
    """Warn the caller's caller of what was not understood in the histories and lists."""
    if requests.unknown:
        total = sum(requests.unknown.values())
        warnings.warn(
            f"{len(requests.unknown)} items are not in the training data and were skipped ({total} times; "
            f"{_first(requests.unknown)}).",
            MltfrWarning,
            stacklevel=3,
        )
    for found in lists:
        if found.unknown:
            warnings.warn(
                f"{len(found.unknown)} items of {found.name} are not in the training data and were skipped "
                f"({_first(found.unknown)}).",
                MltfrWarning,
                stacklevel=3,
            )
    nobody = requests.without_known_item
    if nobody:
        warnings.warn(
            f"{len(nobody)} histories hold no item that training knows; they get the most popular items "
            f"(first: user {nobody[0]}).",
            MltfrWarning,
            stacklevel=3,
        )


def _first(items: Iterable[str]) -> str:
    """Return the first three items as one text."""
    some = list(items)
    return ", ".join(some[:3]) + (", ..." if len(some) > 3 else "")
