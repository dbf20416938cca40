"""One scorer, asked again and again: what does not change between two requests is made once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mltfr.errors import ConfigError, MltfrWarning, OutputError, one_of
from mltfr.inference.ann import ItemIndex
from mltfr.inference.approximate import IndexReport, approximate_top_k, recall
from mltfr.inference.fallback import FallbackScorer
from mltfr.inference.pruned import best_of_quantised
from mltfr.inference.quantised import QuantisedItems
from mltfr.inference.rules import Rules
from mltfr.inference.scorer import ModelScorer, Scorer
from mltfr.inference.top_k import Progress, TopK, empty_top_k, fill_top_k, top_k
from mltfr.interactions.collate import History, has_known_item, known_items

INDEXES = ("exact", "dense", "ivf")
"""How the best items may be looked for."""
LARGE = 50_000
"""Items from which on 8-bit vectors pay: half the time for one history there, a third with a million items."""
FEW = 3
"""Histories in one call up to which they pay; more of them share one reading of the true vectors."""
PATIENCE = 8
"""Such calls after which the 8-bit vectors are made: making them takes as long as 50 requests."""


def check_index(name: str) -> None:
    """Check that there is a way to look that is called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in INDEXES:
        raise ConfigError(f"Unknown index '{name}'. {one_of(name, INDEXES)}")


class Retriever:
    """Finds the best items of histories, exactly; few histories against many items by 8-bit vectors and bounds.

    Both ways give the same items in the same order, up to the rounding of float32 scores: where two scores are so
    close that the order of summation decides, they may come in either order.

    Args:
        make: returns the scorer of the weights as they are.
        version: returns what is equal as long as the weights are; a change makes everything anew.
    """

    def __init__(self, make: Callable[[], Scorer], version: Callable[[], Hashable] = lambda: None) -> None:
        self._make = make
        self._version = version
        self._made: tuple[Hashable, _Prepared] | None = None

    @property
    def scorer(self) -> Scorer:
        """The scorer of the weights as they are."""
        return self._prepared().scorer

    def top_k(
        self,
        histories: Sequence[History],
        k: int,
        rules: Rules,
        *,
        quantised: bool = True,
        progress: Progress | None = None,
    ) -> TopK:
        """Return the k best items of every history, exactly; arguments and errors are those of `top_k`.

        Args:
            histories: item codes, oldest first.
            k: how many items a history gets at most.
            rules: which items are candidates.
            quantised: whether 8-bit vectors may be used where they are faster; they take D + 6 bytes an item.
            progress: told after every batch.
        """
        prepared = self._prepared()
        if quantised and k >= 1 and prepared.suits(histories):
            found = prepared.few(histories, k, rules)
            if found is not None:
                if progress is not None:
                    progress(len(histories), len(histories))
                return found
        return top_k(prepared.scorer, histories, k, rules, progress=progress)

    def approximate_top_k(
        self,
        histories: Sequence[History],
        k: int,
        rules: Rules,
        *,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> TopK:
        """Return about the k best items of every history, by an index of item vectors; the rules hold exactly.

        Args:
            histories: item codes, oldest first.
            k: how many items a history gets at most.
            rules: which items are candidates.
            folder: run folder that holds the index or takes it; None to hold it in memory only.
            progress: told after every batch.

        Raises:
            ConfigError: the scorer is a baseline, which has no item vectors.
            MissingExtraError: faiss is not installed.
        """
        prepared = self._prepared()
        model, index = prepared.indexed(folder)
        return approximate_top_k(index, model, prepared.scorer, histories, k, rules, progress=progress)

    def index_report(
        self, histories: Sequence[History], k: int, rules: Rules, *, folder: Path | None = None, sample: int = 200
    ) -> IndexReport:
        """Return how much of the exact lists the index finds, for evenly spaced histories; errors as above.

        Args:
            histories: item codes, oldest first.
            k: length of the lists.
            rules: which items are candidates.
            folder: run folder that holds the index or takes it.
            sample: histories compared at most.
        """
        picked = histories[:: -(-len(histories) // sample) or 1]
        found = self.approximate_top_k(picked, k, rules, folder=folder)
        return recall(found, top_k(self.scorer, picked, k, rules))

    def _prepared(self) -> _Prepared:
        version = self._version()
        if self._made is None or self._made[0] != version:
            self._made = version, _Prepared(self._make())
        return self._made[1]


class _Prepared:
    """A scorer with what is derived from its weights."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        main = scorer.scorer if isinstance(scorer, FallbackScorer) else scorer
        self.model = main if isinstance(main, ModelScorer) and main.device.type == "cpu" else None
        self.calls = 0
        self.index: ItemIndex | None = None

    @cached_property
    def quantised(self) -> QuantisedItems | None:
        """The item vectors in 8 bits; None where they cannot be had."""
        return None if self.model is None else QuantisedItems.of(self.model.vectors)

    def indexed(self, folder: Path | None) -> tuple[ModelScorer, ItemIndex]:
        """Return the model and the index of its item vectors: held, read from a run folder, or made."""
        if self.model is None:
            raise ConfigError("Only a model on a CPU has an approximate index, and no baseline. Leave out the index.")
        if self.index is None:
            vectors = self.model.vectors
            self.index = None if folder is None else ItemIndex.load(folder, vectors)
            if self.index is None:
                self.index = ItemIndex.build(vectors)
                if folder is not None:
                    _keep(self.index, folder)
        return self.model, self.index

    def suits(self, histories: Sequence[History]) -> bool:
        """Return whether 8-bit vectors are worth it, now that these histories are asked for."""
        if self.model is None or self.scorer.items < LARGE or not 0 < len(histories) <= FEW:
            return False
        self.calls += 1
        return self.calls >= PATIENCE and bool(has_known_item(histories).all()) and self.quantised is not None

    def few(self, histories: Sequence[History], k: int, rules: Rules) -> TopK | None:
        """Return the k best items of some histories; None if the bounds do not hold for one of them."""
        if self.model is None or self.quantised is None:
            return None
        queries: Tensor = self.model.queries(histories)                    # [B, D]
        if not all(self.quantised.serves(query) for query in queries):
            return None
        blocked = rules.blocked(self.scorer.items)
        result = empty_top_k(len(histories), min(k, self.scorer.items))
        with torch.inference_mode():
            for row, query in enumerate(queries):
                seen = torch.from_numpy(known_items(histories[row : row + 1])[1]) if rules.remove_seen else None
                keys = best_of_quantised(self.quantised, query, k, seen, blocked)
                fill_top_k(result, np.array([row]), keys)
        return result


def _keep(index: ItemIndex, folder: Path) -> None:
    """Save an index; where that cannot be, say so and go on."""
    try:
        index.save(folder)
    except OutputError as error:
        warnings.warn(f"The index was not saved, and is made again next time: {error}", MltfrWarning, stacklevel=5)
