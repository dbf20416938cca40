"""A run in memory, ready to answer: its model, its users, and what is made before the first request."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os.path import realpath
from pathlib import Path
from time import time

import numpy as np

from mltfr.batch.users import run_fingerprint
from mltfr.errors import RunError
from mltfr.explain.removal import window_of
from mltfr.inference import FallbackScorer, Retriever, Rules
from mltfr.inference.eight_bit import CALLS_BEFORE
from mltfr.inference.top_k import TopK
from mltfr.interactions import History
from mltfr.pipeline.artifact import load_artifact
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.restore import damage
from mltfr.serve.graph import MAX_HISTORIES, GraphSearch
from mltfr.serve.log import log
from mltfr.serve.search import ItemSearch
from mltfr.storage.folder import MANIFEST
from mltfr.storage.refusals import has_file

ALONE = (
    "Preset `reference`: as published, scores depend on the batch and on noise drawn at evaluation. "
    "Every history goes through the model alone, and two answers to the same request may differ."
)


@dataclass(eq=False)
class Part:
    """What answers requests: a model with its users and items, how the best items are found, and items' names by id.

    Attributes:
        graph: finds them for small requests, where there is one.
    """

    fitted: FittedModel
    retriever: Retriever
    names: Mapping[str, str]
    graph: GraphSearch | None = None

    def top_k(self, histories: Sequence[History], k: int, rules: Rules) -> TopK:
        """Return the k best items of every history."""
        found = self.graph.top_k(histories, k, rules) if self.graph is not None else None
        return found if found is not None else self.retriever.top_k(histories, k, rules)

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
        graph: answers small requests, where there is one.
        loaded: when it was loaded, in seconds since 1970.
    """

    folder: Path
    fingerprint: str
    fitted: FittedModel
    names: Mapping[str, str] = field(default_factory=dict)
    graph: GraphSearch | None = None
    loaded: float = field(default_factory=time)

    @classmethod
    def load(cls, folder: Path, names: Mapping[str, str] | None = None, onnx: bool = False) -> LoadedRun:
        """Read a run folder, after checking every file.

        Args:
            folder: the run folder, or a link to it, which may lead elsewhere from now on.
            names: names of items that are put beside their ids, by id.
            onnx: whether small requests are computed by onnxruntime.

        Raises:
            RunError: there is no finished run, it is damaged, from another version, or replaced meanwhile; or, with
                `onnx`, it has no graph.
            ConfigError: with `onnx`, torch is too old.
            MissingExtraError: with `onnx`, the extra `export` is not installed.
        """
        folder = Path(realpath(folder))  # of a link that leads to itself too
        with damage(folder / MANIFEST):
            before = run_fingerprint(folder) if has_file(folder / MANIFEST, RunError) else None
        fitted = load_artifact(folder)
        graph = GraphSearch.of(folder, fitted) if onnx else None
        with damage(folder / MANIFEST):
            fingerprint = run_fingerprint(folder)
        if fingerprint != before:
            raise RunError(f"{folder}: another run was written there while it was loaded. Start again, or reload.")
        return cls(folder, fingerprint[:32], fitted, names or {}, graph)

    @cached_property
    def own(self) -> Part:
        """The run with the items that training has seen."""
        return Part(self.fitted, Retriever(self.fitted.scorer, self.folder), self.names, self.graph)

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

    def together(self, most: int) -> int:
        """Return how many histories of several requests go through the model together, where `most` are allowed.

        What onnxruntime answers does not wait for a larger batch, which torch would take longer for.
        """
        if self.alone:
            return 1
        return most if self.graph is None else min(most, MAX_HISTORIES)

    @property
    def notes(self) -> list[str]:
        """What a caller should know of the answers."""
        if self.graph is not None:
            return [str(self.graph)]
        return [ALONE] if self.alone else []

    def log_notes(self) -> None:
        """Log what a caller should know of the answers."""
        for note in self.notes:
            log(logging.WARNING if self.alone else logging.INFO, "note", text=note)

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
            if part.graph is not None:
                part.graph.top_k(known, 1, Rules())
            for _ in range(CALLS_BEFORE):
                part.retriever.top_k(known, 1, Rules())
