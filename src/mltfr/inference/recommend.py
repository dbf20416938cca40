"""Recommend: the best items of some requests, for the public object, the command line and batch jobs alike."""

from __future__ import annotations

import hashlib
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import polars as pl

from mltfr.errors import ConfigError, MltfrWarning, OutputError, one_of, shown
from mltfr.inference.blend import BlendScorer
from mltfr.inference.eight_bit import EightBitSearch
from mltfr.inference.index import IndexReport, ItemIndex, approximate_top_k, recall
from mltfr.inference.requests import Requests
from mltfr.inference.rules import Rules, rules_of_ids
from mltfr.inference.scorer import FallbackScorer, ModelScorer, Scorer
from mltfr.inference.shortfalls import Shortfalls
from mltfr.inference.table import recommendation_table
from mltfr.inference.top_k import TopK, top_k
from mltfr.interactions import Vocabulary
from mltfr.interactions.collate import History
from mltfr.interactions.id_lists import id_list
from mltfr.interactions.ids import Strip
from mltfr.interactions.item_names import item_names, named
from mltfr.interactions.load import say
from mltfr.storage.progress import SILENT, Progress

INDEXES = ("exact", "dense", "ivf")
"""How the best items may be searched for."""


@dataclass(frozen=True)
class RecommendationSpec:
    """What every user gets.

    Attributes:
        k: items, at most; as many as training knows may be fewer.
        include_seen: whether items of the history may come again; None for what the run was evaluated with.
        allow: item ids that may be recommended; None for all. They become a tuple of texts.
        deny: item ids that may not.
        index: how the items are searched for, one of `INDEXES`: "exact"; "dense", the same without the 8-bit item
            vectors; "ivf", approximate.
        names: names that are put beside item ids, as `item_names` takes them; None for none.
        new_items: whether items that training has not seen, and of which the run has vectors, are candidates.

    Raises:
        ConfigError: the index is unknown, or k no whole number of at least 1.
        DataError: `allow` or `deny` is no list of ids, or `names` no table of names.
    """

    k: int = 10
    include_seen: bool | None = None
    allow: Any = None
    deny: Any = ()
    index: str = "exact"
    names: Any = None
    new_items: bool = False

    def __post_init__(self) -> None:
        if self.index not in INDEXES:
            raise ConfigError(f"Unknown index '{self.index}'. {one_of(str(self.index), INDEXES)}")
        object.__setattr__(self, "k", check_k(self.k))
        for name, ids in (("allow", self.allow), ("deny", self.deny)):
            strip = Strip("ids")
            given = None if ids is None else tuple(id_list(ids, name, "item", strip))
            object.__setattr__(self, name, given)
            say(name, strip.notes)
        object.__setattr__(self, "names", None if self.names is None else item_names(self.names))

    def rules(self, vocabulary: Vocabulary, remove_seen: bool) -> tuple[Rules, dict[str, list[str]]]:
        """Return which items are candidates, and by the filter's name the ids that training has not seen.

        Args:
            vocabulary: the items that training knows.
            remove_seen: whether the run was evaluated without the items of the history.

        Raises:
            DataError: training has seen no item of `allow`.
        """
        remove_seen = remove_seen if self.include_seen is None else not self.include_seen
        return rules_of_ids(vocabulary, remove_seen, self.allow, self.deny)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters that identify a job; lists of items as their checksums."""
        filters = {name: _digest(ids) for name, ids in (("allow", self.allow), ("deny", self.deny or None))}
        names = None if self.names is None else self.names.digest()
        new = {"new_items": True} if self.new_items else {}
        return {"k": self.k, "include_seen": self.include_seen, "index": self.index, **filters, "names": names, **new}


def check_k(k: Any) -> int:
    """Return how many items are asked for.

    Raises:
        ConfigError: it is no whole number of at least 1.
    """
    try:
        number = 0 if isinstance(k, bool | np.bool_) else operator.index(k)
    except TypeError:
        number = 0
    if number < 1:
        raise ConfigError(f"k is {shown(k)}; expected a whole number of items, at least 1.")
    return number


def recommend(
    retriever: Retriever,
    vocabulary: Vocabulary,
    requests: Requests,
    rules: Rules,
    k: int,
    index: str = "exact",
    progress: Progress = SILENT,
) -> tuple[pl.DataFrame, Shortfalls]:
    """Return the best items of every request as rows `user_id, rank, item_id, score`, and what falls short.

    Requests are answered in their order.

    Args:
        retriever: finds them.
        vocabulary: the items' ids.
        requests: users and their histories.
        rules: which items are candidates, as `RecommendationSpec.rules` returns them.
        k: how many items a user gets at most.
        index: how the items are searched for, one of `INDEXES`.
        progress: advanced by every batch's requests.

    Raises:
        ConfigError: an approximate index is asked of a baseline.
        MissingExtraError: the extra `ann` is not installed.
    """
    best = retriever.top_k(requests.histories, k, rules, index, progress)
    return recommendation_table(requests.user_ids, best, vocabulary), requests.shortfalls(best.counts, k)


def answer(
    retriever: Retriever,
    vocabulary: Vocabulary,
    requests: Requests,
    spec: RecommendationSpec,
    remove_seen: bool,
    progress: Progress = SILENT,
) -> pl.DataFrame:
    """Return the best items of every request with their names, and warn of what falls short; see `recommend`.

    Args:
        spec: what every user gets.
        remove_seen: whether the run was evaluated without the items of the history.
    """
    rules, unknown_in_filters = spec.rules(vocabulary, remove_seen)
    progress.start("recommending", len(requests.histories))
    table, shortfalls = recommend(retriever, vocabulary, requests, rules, spec.k, spec.index, progress)
    for text in shortfalls.sentences(spec.k, unknown_in_filters):
        warnings.warn(text, MltfrWarning, stacklevel=3)
    return named(table, spec.names, vocabulary)


class Retriever:
    """Finds the best items of histories by one scorer; what follows from its weights is computed once.

    Threads may share it: what is made at the first request is made by one of them, while the others wait.

    All ways to search but "ivf" give the same items in the same order, up to the rounding of float32 scores: where
    two scores are so close that the order of summation decides, they may come in either order.

    Args:
        make: returns the scorer of the weights as they are; called again after they have changed.
        folder: run folder that holds the approximate index or takes it; None to hold it in memory only.
    """

    def __init__(self, make: Callable[[], Scorer], folder: Path | None = None) -> None:
        self.folder = folder
        self._make = make
        self._made: _Prepared | None = None
        self._lock = Lock()

    def keep_in(self, folder: Path) -> None:
        """Keep the approximate index in a run folder from now on; what is made already stays."""
        self.folder = folder
        if self._made is not None:
            self._made.keep_in(folder)

    def __reduce__(self) -> tuple[type[Retriever], tuple[Callable[[], Scorer], Path | None]]:
        return Retriever, (self._make, self.folder)  # a copy makes its own

    @property
    def scorer(self) -> Scorer:
        """The scorer of the weights as they are."""
        return self._prepared().scorer

    def top_k(
        self,
        histories: Sequence[History],
        k: int,
        rules: Rules,
        index: str = "exact",
        progress: Progress = SILENT,
    ) -> TopK:
        """Return the k best items of every history; other errors are those of `top_k`.

        Args:
            histories: item codes, oldest first.
            k: how many items a history gets at most.
            rules: which items are candidates; they hold exactly, whatever the index.
            index: how the items are searched for, one of `INDEXES`.
            progress: advanced by every batch's requests.

        Raises:
            ConfigError: "ivf" for a baseline, which has no item vectors.
            MissingExtraError: faiss is not installed.
        """
        prepared = self._prepared()
        if index == "ivf":
            model, items = prepared.indexed(self.folder)
            return approximate_top_k(items, model, prepared.scorer, histories, k, rules, progress=progress)
        if index == "exact" and prepared.eight_bit is not None:
            found = prepared.eight_bit.top_k(histories, k, rules)
            if found is not None:
                progress.advance(len(histories))
                return found
        return top_k(prepared.scorer, histories, k, rules, progress=progress)

    def index_report(self, histories: Sequence[History], k: int, rules: Rules, sample: int = 200) -> IndexReport:
        """Return how much of the exact lists the approximate index finds, for evenly spaced histories.

        Args:
            histories: item codes, oldest first.
            k: length of the lists.
            rules: which items are candidates.
            sample: histories compared at most.

        Raises:
            ConfigError, MissingExtraError: as `top_k`.
        """
        picked = histories[:: -(-len(histories) // sample) or 1]
        return recall(self.top_k(picked, k, rules, "ivf"), top_k(self.scorer, picked, k, rules))

    def _prepared(self) -> _Prepared:
        made = self._made
        if made is None or not made.is_current():
            with self._lock:
                made = self._made
                if made is None or not made.is_current():
                    made = self._made = _Prepared(self._make())
        return made


class _Prepared:
    """A scorer with what is derived from its weights."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        main = scorer.scorer if isinstance(scorer, FallbackScorer) else scorer
        self.is_current = main.is_current if isinstance(main, ModelScorer | BlendScorer) else lambda: True
        self.model = main if isinstance(main, ModelScorer) and main.device.type == "cpu" else None
        self.eight_bit = EightBitSearch(self.model) if self.model is not None else None
        self._index: ItemIndex | None = None
        self._lock = Lock()

    def keep_in(self, folder: Path) -> None:
        """Save the index, if it is made."""
        with self._lock:
            if self._index is not None:
                _save(self._index, folder)

    def indexed(self, folder: Path | None) -> tuple[ModelScorer, ItemIndex]:
        """Return the model and the index of its item vectors: held, read from a run folder, or made."""
        if self.model is None:
            raise ConfigError("Only a network on a CPU has an approximate index, no baseline or blend. Leave it out.")
        with self._lock:
            if self._index is None:
                vectors = self.model.vectors
                self._index = None if folder is None else ItemIndex.load(folder, vectors)
                if self._index is None:
                    self._index = ItemIndex.build(vectors)
                    if folder is not None:
                        _save(self._index, folder)
            return self.model, self._index


def _save(index: ItemIndex, folder: Path) -> None:
    """Save an index; where that cannot be, warn and go on."""
    try:
        index.save(folder)
    except OutputError as error:
        warnings.warn(f"The index was not saved, and is made again next time: {error}", MltfrWarning, stacklevel=5)


def _digest(ids: Iterable[str] | None) -> str | None:
    return None if ids is None else hashlib.sha256("\n".join(ids).encode()).hexdigest()
