"""What stands beside a run that is asked for items it has never seen: random order, and items with like words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import norm
from torch import Tensor

from mltfr.baselines.popularity import Popularity
from mltfr.evaluation import evaluate
from mltfr.inference import Scorer
from mltfr.interactions import History
from mltfr.interactions.collate import known_items
from mltfr.names.texts import ItemTexts
from mltfr.names.words import words_of
from mltfr.pipeline.fitted import FittedModel
from mltfr.storage.progress import SILENT, Progress

RANDOM, WORDS = "random order", "like words"
"""Names of the rows."""


class WordNeighbours:
    """Scores by the words of names: the sum of an item's cosines to the items of the history, of tf-idf vectors.

    Args:
        weights: `[I, U]`, sparse: the weight of every word of every item.
    """

    def __init__(self, weights: csr_array) -> None:
        lengths = np.maximum(norm(weights, axis=1), np.finfo(np.float32).tiny)
        self._rows = csr_array(diags_array(1 / lengths) @ weights)       # [I, U], of length 1 or 0

    @property
    def items(self) -> int:
        """Number of items I."""
        return int(self._rows.shape[0])

    def queries(self, histories: Sequence[History]) -> Tensor:
        """Return the scores of all items, float32 `[B, I]`."""
        row, code = known_items(histories)
        shape = (len(histories), self.items)
        seen = csr_array((np.ones(len(row), np.float32), (row, code - 1)), shape)
        return torch.from_numpy(((seen @ self._rows) @ self._rows.T).toarray().astype(np.float32))

    def scores(self, queries: Tensor, start: int, stop: int) -> Tensor:
        """Return float32 scores `[B, stop - start]`."""
        return queries[:, start - 1 : stop - 1].clone()


def new_item_rows(fitted: FittedModel, texts: ItemTexts, progress: Progress = SILENT) -> dict[str, dict[str, Any]]:
    """Return the test metrics of random order, as expected over all orders, and of `WordNeighbours`, by their names.

    Args:
        fitted: a run whose split holds items out of training.
        texts: what is said about all items.
        progress: receives how many examples are ranked.
    """
    tested = fitted.for_test()
    words = words_of(texts.of(tested.split.vocabulary))
    scorers: dict[str, Scorer] = {
        RANDOM: Popularity.of_counts(np.ones(len(tested.split.vocabulary) + 1, np.int64)),
        WORDS: WordNeighbours(words.weighted(idf=True)),
    }
    return {
        name: {"test": dict(evaluate(scorer, tested.split, "test", tested.protocol(), progress=progress).metrics)}
        for name, scorer in scorers.items()
    }
