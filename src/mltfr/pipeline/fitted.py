"""What a run leads to: a fitted model, with the data it was fitted to or without."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

from mltfr.baselines.popularity import Popularity
from mltfr.evaluation import EvaluationProtocol
from mltfr.inference import FallbackScorer, Scorer
from mltfr.interactions import Split, Vocabulary
from mltfr.interactions.splits.new_items import NEW_ITEMS
from mltfr.names.new_items import NewItems
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.constant_branch import constant_branch
from mltfr.pipeline.models import Model
from mltfr.pipeline.new_items import beside_new_items
from mltfr.pipeline.verdict import RunVerdict

SHOWN = ("ndcg@10", "hr@10")
"""Test scores in the short description of a fitted model."""


@dataclass(frozen=True)
class InferenceModel:
    """A fitted model and the items that it knows, without the users it was fitted to: enough to recommend.

    Attributes:
        config: every setting.
        model: a network in evaluation mode, with its best weights, or a baseline.
        vocabulary: the items of the training split.
        facts: what the manifest says of the fit.
        new_items: items that training has not seen, with vectors; None where there are none.
    """

    config: RunConfig
    model: Model
    vocabulary: Vocabulary
    facts: dict[str, Any]
    new_items: NewItems | None = None

    def __repr__(self) -> str:
        return f"InferenceModel({self.config.title}; {len(self.vocabulary):,} items)"

    def with_new_items(self) -> Self:
        """Return the model with the items that training has not seen behind its own.

        Raises:
            ConfigError: it has no vectors of any.
        """
        model, ids = beside_new_items(self.model, self.new_items)
        return replace(self, model=model, vocabulary=self.vocabulary.with_items(ids), new_items=None)

    def scorer(self) -> Scorer:
        """Return what scores items: the model, and popularity for histories without a known item."""
        return FallbackScorer(self.model.scorer(), Popularity.of_counts(self.vocabulary.counts))


@dataclass(frozen=True)
class FittedModel:
    """A model with the data it was fitted to.

    Attributes:
        config: every setting.
        model: a network in evaluation mode, with its best weights, or a baseline.
        split: the interaction log, split into training, validation and test.
        facts: what the manifest says of the fit: fingerprints, tables, best epoch, wall time.
        metrics: the document of `metrics.json`.
        history: one record per epoch, as in `log.jsonl`.
        new_items: items that training has not seen, with vectors; None where there are none.
    """

    config: RunConfig
    model: Model
    split: Split
    facts: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    new_items: NewItems | None = None

    def __repr__(self) -> str:
        return f"FittedModel({self})"

    def __str__(self) -> str:
        sizes = f"{self.split.users}, {len(self.split.vocabulary):,} items"
        found = self.metrics.get("metrics", {})
        scores = ", ".join(f"{name} {found[name]:.4f}" for name in SHOWN if name in found)
        return f"{self.config.title}; {sizes}" + f"; test {scores}" * bool(scores)

    @property
    def verdict(self) -> RunVerdict | None:
        """Where the run stands, in numbers, and as a text in words; None for runs that nothing has judged."""
        found = self.metrics.get("verdict")
        return RunVerdict.from_json(found) if found is not None else None

    def with_new_items(self) -> Self:
        """Return the model with the items that training has not seen behind its own, in its users' histories too.

        Raises:
            ConfigError: it has no vectors of any.
        """
        model, ids = beside_new_items(self.model, self.new_items)
        return replace(self, model=model, split=self.split.with_items(ids), new_items=None)

    def for_test(self) -> Self:
        """Return what test is scored with: the model itself, unless the split asks for items held out of training.

        Then it has the items that have a name behind its own, as candidates and targets; histories are without them.
        """
        if self.config.split.method != NEW_ITEMS or self.new_items is None:
            return self
        model, ids = beside_new_items(self.model, self.new_items)
        return replace(self, model=model, split=self.split.with_items(ids, in_histories=False), new_items=None)

    def scorer(self) -> Scorer:
        """Return what scores items: the model, and popularity for histories without a known item."""
        return InferenceModel(self.config, self.model, self.split.vocabulary, self.facts).scorer()

    def zero_branch(self) -> Scorer | None:
        """Return what scores items with the fusion's correction set to zero; None where there can be no fusion."""
        scorer = self.model.zero_branch()
        return None if scorer is None else FallbackScorer(scorer, self.popularity())

    def constant_branch(self) -> Scorer | None:
        """Return what scores items with the mean of the fusion's correction in its place; None without a fusion."""
        model = constant_branch(self.model, self.split.train_histories())
        return None if model is None else FallbackScorer(model.scorer(), self.popularity())

    def popularity(self) -> Popularity:
        """Return the baseline that stands beside every result."""
        return Popularity.of_counts(self.split.vocabulary.counts)

    def protocol(self) -> EvaluationProtocol:
        """Return how this recommender is measured."""
        protocol = self.config.evaluation.protocol(self.split.method)
        if self.split.target_items is None:
            return protocol
        return protocol.model_copy(update={"candidates": "all training items and new ones"})
