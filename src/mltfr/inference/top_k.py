"""The k best items of many histories, without ever holding a users x items matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mltfr.inference.rules import Rules, scored_batches
from mltfr.inference.scorer import Scorer
from mltfr.inference.select import best_keys, merge_keys, unpack
from mltfr.interactions.collate import History

Progress = Callable[[int, int], None]
"""Called with how many histories are done, and how many there are."""


@dataclass(frozen=True)
class TopK:
    """The best items of every history, in the order in which the histories were given.

    Attributes:
        codes: int64 `[U, k]`, best first; 0 beyond `counts`. A k larger than the catalogue is the catalogue's size.
        scores: float32 `[U, k]`; minus infinity beyond `counts`.
        counts: int64 `[U]`; k, or the number of candidates where the rules leave fewer.
    """

    codes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int64]


def top_k(
    scorer: Scorer,
    histories: Sequence[History],
    k: int,
    rules: Rules | None = None,
    *,
    chunk: int = 1 << 17,
    progress: Progress | None = None,
) -> TopK:
    """Return the k best items of every history, exactly; among equal scores the lower code comes first.

    Args:
        scorer: scores the items.
        histories: item codes, oldest first.
        k: how many items a history gets at most.
        rules: which items are candidates; by default all but those of the history.
        chunk: items scored at a time.
        progress: told after every batch.

    Raises:
        ValueError: k or `chunk` is less than 1, or a list of `rules` holds no item code.
        MltfrError: a score is not a number.
    """
    if k < 1 or chunk < 1:
        raise ValueError(f"k and chunk must be at least 1, got k={k} and chunk={chunk}.")
    k = min(k, scorer.items)
    result = empty_top_k(len(histories), k)
    done = 0
    for batch in scored_batches(scorer, histories, rules or Rules()):
        keys = None
        for start in range(1, scorer.items + 1, chunk):
            stop = min(start + chunk, scorer.items + 1)
            with torch.inference_mode():
                keys = merge_keys(keys, best_keys(batch.scores(start, stop), start, k), k)
        if keys is not None:
            fill_top_k(result, batch.index, keys)
        done += len(batch.index)
        if progress is not None:
            progress(done, len(histories))
    return result


def empty_top_k(histories: int, k: int) -> TopK:
    """Return lists without an item, to be filled batch by batch."""
    return TopK(
        codes=np.zeros((histories, k), np.int64),
        scores=np.full((histories, k), -np.inf, np.float32),
        counts=np.zeros(histories, np.int64),
    )


def fill_top_k(result: TopK, index: npt.NDArray[np.int64], keys: torch.Tensor) -> None:
    """Write the keys `[B, <= k]` of the histories `index` into their place; no forbidden item gets in."""
    codes, scores = (part.cpu().numpy() for part in unpack(keys))
    allowed = scores > -np.inf                                           # [B, <= k]
    width = codes.shape[1]
    result.codes[index, :width] = np.where(allowed, codes, 0)
    result.scores[index, :width] = scores
    result.counts[index] = allowed.sum(1)
