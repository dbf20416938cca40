"""Similar items: the nearest others of some items."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from mltfr.errors import MltfrWarning
from mltfr.inference.recommend import check_k
from mltfr.inference.select import best_keys
from mltfr.inference.shortfalls import Listed
from mltfr.inference.table import recommendation_table
from mltfr.inference.top_k import BLOCK_SCORES, TopK
from mltfr.interactions import Vocabulary
from mltfr.interactions.id_lists import id_list
from mltfr.interactions.ids import Strip
from mltfr.interactions.load import say


def similar_items(
    vocabulary: Vocabulary, similarity: Callable[[Tensor], Tensor], items: Any, k: int
) -> pl.DataFrame:
    """Return the k most similar items of each of some items, rows `similar_to, rank, item_id, similarity`.

    The items come in their order, rank from 1; equally similar ones in that of their codes. An item that is similar to
    fewer than k gets fewer rows. Items that training has not seen are left out, which is said by an `MltfrWarning`.

    Args:
        vocabulary: the items that training knows.
        similarity: the similarity of items to all others, as a model's `item_similarity` returns it.
        items: one item id, or a list of them.
        k: how many each gets at most.

    Raises:
        ConfigError: the model has no similarity of items, or k is no whole number of at least 1.
        DataError: training has seen none of the items, or something else stands where ids are expected.
    """
    k = min(check_k(k), len(vocabulary))
    ids = _known(vocabulary, items)
    codes = torch.from_numpy(vocabulary.encode(ids).astype(np.int64))    # [N]
    best = TopK.empty(len(codes), k)
    for block in torch.split(torch.arange(len(codes)), max(1, BLOCK_SCORES // len(vocabulary))):
        with torch.inference_mode():
            values = similarity(codes[block])                            # [B, I]
            values[torch.arange(len(block)), codes[block] - 1] = -torch.inf
            best.fill(block.numpy(), best_keys(values, 1, k))
    return recommendation_table(ids, best, vocabulary).rename({"user_id": "similar_to", "score": "similarity"})


def _known(vocabulary: Vocabulary, items: Any) -> list[str]:
    """Return the ids that training knows, in their order; warn of the others."""
    if isinstance(items, str | bytes) or not isinstance(items, Iterable) or getattr(items, "ndim", 1) == 0:
        return vocabulary.decode([vocabulary.code_of(items)])
    strip = Strip("ids")
    ids = id_list(items, "items", "item", strip)
    say("items", strip.notes)
    known, unknown = ([i for i in ids if (i in vocabulary.codes) == there] for there in (True, False))
    if unknown and not known:
        vocabulary.code_of(unknown[0])  # says what is near
    if unknown:
        what = "items that are not in the training data and have no similar items"
        text = f"{what}: {len(unknown):,}{Listed.of(unknown)}."
        warnings.warn(text, MltfrWarning, stacklevel=4)
    return known
