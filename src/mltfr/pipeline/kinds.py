"""What can be fitted, a sequential model or a baseline, so that nothing else has to ask which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

from mltfr.baselines import BASELINES, Baseline, BaselineConfig
from mltfr.inference import ModelScorer, Scorer
from mltfr.model import SequentialModel
from mltfr.pipeline.build import build_model
from mltfr.pipeline.config import RunConfig
from mltfr.tokens import PreparedTable
from mltfr.training import add_consensus


class Kind(Protocol):
    """What a run asks of a fitted model."""

    def scorer(self) -> Scorer:
        """Return what scores items for histories."""

    def without_fusion(self) -> AbstractContextManager[None] | None:
        """Return the context in which the fusion's correction is zero; None where there can be no fusion."""

    def similarity(self, code: int) -> tuple[str, Tensor]:
        """Return what similarity is called here, and that of an item to every item, float32 `[I]`.

        Raises:
            ConfigError: there is none.
        """


@dataclass(frozen=True)
class NeuralKind:
    """A sequential model."""

    model: SequentialModel

    def scorer(self) -> Scorer:
        """Return the model as a scorer, on its device."""
        return ModelScorer(self.model, self.model.item_vectors.weight.device)

    def without_fusion(self) -> AbstractContextManager[None] | None:
        """Return the context of the zero-branch score."""
        return self.model.without_fusion()

    def similarity(self, code: int) -> tuple[str, Tensor]:
        """Return the cosines of item vectors."""
        vectors = normalize(self.model.item_vectors.weight.detach()[1 : self.model.items + 1], dim=-1)  # [I, D]
        return "cosine", vectors @ vectors[code - 1]                     # [I]


@dataclass(frozen=True)
class BaselineKind:
    """A baseline, which is a scorer itself."""

    model: Baseline

    def scorer(self) -> Scorer:
        """Return the baseline."""
        return self.model

    def without_fusion(self) -> AbstractContextManager[None] | None:
        """Return None: there are no hidden states to correct."""
        return None

    def similarity(self, code: int) -> tuple[str, Tensor]:
        """Return the baseline's weights; minus infinity where it has none."""
        weights = self.model.similarity(code)                            # [I]
        return "weight", weights.masked_fill(weights == 0, -torch.inf)


def kind_of(model: SequentialModel | Baseline) -> Kind:
    """Return the kind of a fitted model."""
    return BaselineKind(model) if isinstance(model, Baseline) else NeuralKind(model)


def restore(
    config: RunConfig,
    items: int,
    tables: Sequence[PreparedTable],
    item_vectors: npt.NDArray[np.float32] | None,
    weights: Mapping[str, Tensor],
) -> SequentialModel | Baseline:
    """Return the fitted model that a run's settings and weights describe.

    Args:
        config: the run's settings.
        items: number of items I.
        tables: the prepared token tables, or placeholders of their shapes.
        item_vectors: zeros of the shape of the item vectors that it was fitted with, if any.
        weights: its `state_dict`.

    Raises:
        KeyError, ValueError, RuntimeError: the weights are of something else.
    """
    if isinstance(config.backbone, BaselineConfig):
        baseline = BASELINES.get(config.backbone.name).cls(config.backbone, weights)
        if baseline.items != items:
            raise ValueError(f"the weights are for {baseline.items} items, but the run has {items}")
        return baseline
    model = build_model(config, items, tables, item_vectors)
    add_consensus(model, weights)
    model.load_state_dict(weights)
    return model.eval()

