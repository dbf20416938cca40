"""A run in memory, ready to answer: its model, its users, and what is made before the first request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import time

import numpy as np

from mltfr.batch.users import run_fingerprint
from mltfr.explain.removal import window_of
from mltfr.inference import FallbackScorer, Retriever, Rules
from mltfr.inference.eight_bit import CALLS_BEFORE
from mltfr.pipeline.artifact import load_artifact
from mltfr.pipeline.fitted import FittedModel
from mltfr.serve.search import ItemSearch

ALONE = (
    "Preset `reference`: as published, scores depend on the batch and on noise drawn at evaluation. "
    "Every history goes through the model alone, and two answers to the same request may differ."
)


@dataclass(eq=False)
class Part:
    """What answers requests: a model with its users and items, how the best items are found, and items' names by id."""

    fitted: FittedModel
    retriever: Retriever
    names: Mapping[str, str]

    @cached_property
    def window(self) -> int | None:
        """How many known items of a history the model reads, the newest ones; None for all."""
        scorer = self.retriever.scorer
        return window_of(scorer.scorer if isinstance(scorer, FallbackScorer) else scorer)

    @cached_property
    def search(self) -> ItemSearch:
        """How items are found by their ids and names."""
        vocabulary = self.fitted.split.vocabulary
        return ItemSearch(vocabulary.item_ids, vocabulary.counts, self.names)


@dataclass(eq=False)
class LoadedRun:
    """A run in memory.

    Attributes:
        folder: the run folder.
        fingerprint: the first half of the checksum of its manifest, which lists those of its files.
        fitted: the model with the data it was fitted to.
        names: names of items that are put beside their ids, by id.
        loaded: when it was loaded, in seconds since 1970.
    """

    folder: Path
    fingerprint: str
    fitted: FittedModel
    names: Mapping[str, str] = field(default_factory=dict)
    loaded: float = field(default_factory=time)

    @classmethod
    def load(cls, folder: Path, names: Mapping[str, str] | None = None) -> LoadedRun:
        """Read a run folder, after checking every file.

        Raises:
            RunError: there is no finished run, it is damaged, or from another version.
        """
        fitted = load_artifact(folder)
        return cls(folder, run_fingerprint(folder)[:32], fitted, names or {})

    @cached_property
    def own(self) -> Part:
        """The run with the items that training has seen."""
        return Part(self.fitted, Retriever(self.fitted.scorer, self.folder), self.names)

    @cached_property
    def wider(self) -> Part:
        """The run with the items too that training has not seen.

        Raises:
            ConfigError: it has no vectors of any.
        """
        wider = self.fitted.with_new_items()
        return Part(wider, Retriever(wider.scorer), self.names)

    @cached_property
    def alone(self) -> bool:
        """Whether scores depend on which histories go through the model together, so that each has to go alone."""
        return self.fitted.config.depends_on_batch

    @property
    def notes(self) -> list[str]:
        """What a caller should know of the answers."""
        return [ALONE] if self.alone else []

    def warm_up(self, page: bool = True) -> None:
        """Make what follows from the weights, and answer a few requests, so that the first one waits for nothing.

        Large catalogues get 8-bit item vectors for lone requests, which are made after some of those.

        Args:
            page: whether items are prepared for the search of the page; else the first search does that.
        """
        parts = [self.own, *([self.wider] if self.fitted.new_items is not None else [])]
        if page:
            parts[-1].search  # noqa: B018
        for part in parts:
            split = part.fitted.split
            split.rows, split.vocabulary.codes, part.window  # noqa: B018
            first = np.array([1], np.int32)  # of a run that was shared without its users
            known = [next((history for history in split.histories if (history > 0).any()), first)]
            for _ in range(CALLS_BEFORE):
                part.retriever.top_k(known, 1, Rules())
