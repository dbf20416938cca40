"""How much each member of a blend counts, chosen on the validation split, and what the members score there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mltfr.baselines.popularity import Popularity
from mltfr.evaluation import EvaluationProtocol, evaluate
from mltfr.evaluation.mixture import mixture_weights, target_probabilities
from mltfr.inference import FallbackScorer
from mltfr.interactions import Split
from mltfr.pipeline.models import BlendModel, Model
from mltfr.storage.progress import SILENT, Progress


@dataclass(frozen=True)
class Weighed:
    """A blend, and what is told of its members.

    Attributes:
        model: the blend.
        validation: the metrics of every member on validation; none where there is no validation split.
        best: number of the member that is best on validation; None where there is no validation split.
    """

    model: BlendModel
    validation: list[dict[str, float]]
    best: int | None

    def facts(self, members: Sequence[dict[str, Any]], chosen: bool = True) -> dict[str, Any]:
        """Return what the manifest says of the blend, in addition to facts of every member."""
        told = [{**facts, "weight": weight} for facts, weight in zip(members, self.model.weights.tolist(), strict=True)]
        for facts, metrics in zip(told, self.validation, strict=False):
            facts["validation"] = metrics
        return {"members": told, "best": self.best, "weights": "validation" if chosen else "given"}


def weigh(
    members: Sequence[Model],
    data: Split,
    protocol: EvaluationProtocol,
    metric: str,
    weights: Sequence[float] | None = None,
    progress: Progress = SILENT,
) -> Weighed:
    """Return the blend of fitted models, with the weights that make the validation targets most probable.

    Args:
        members: fitted to the training split of `data`, and to nothing else.
        data: the log, split; its validation split may be empty where weights are given.
        protocol: how scores are measured.
        metric: by which members are told to be better.
        weights: summing to one; None to choose them.
        progress: told of the work.
    """
    if weights is None and len(members) == 1:
        weights = [1.0]
    if weights is None:
        scorers = [member.scorer() for member in members]
        weights = mixture_weights(target_probabilities(scorers, data, protocol, progress)).tolist()
    model = BlendModel(members, torch.tensor(weights, dtype=torch.float64))
    if not len(data.validation):
        return Weighed(model, [], None)
    popularity = Popularity.of_counts(data.vocabulary.counts)
    scores = [
        dict(evaluate(FallbackScorer(member.scorer(), popularity), data, "validation", protocol).metrics)
        for member in members
    ]
    return Weighed(model, scores, max(range(len(scores)), key=lambda number: scores[number][metric]))
