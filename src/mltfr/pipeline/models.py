"""The interface that neural models and baselines share once they are fitted."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mltfr.inference import ModelScorer, Scorer
from mltfr.model import SequentialModel


class Model(Protocol):
    """A fitted model: a network or a baseline."""

    def state_dict(self) -> Any:
        """Return its tensors by name: all that is kept of it, beside the settings."""

    def scorer(self) -> Scorer:
        """Return what scores items for histories, with the weights as they are."""

    def zero_branch(self) -> Scorer | None:
        """Return what scores items with the fusion's `delta = 0`; None where there can be no fusion."""

    def item_similarity(self, codes: Tensor) -> Tensor:
        """Return the similarity of some items to all items, float32 `[N, I]`; minus infinity for none.

        Args:
            codes: item codes, int64 `[N]`.

        Raises:
            ConfigError: the model has no similarity of items.
        """


class NeuralModel(SequentialModel):
    """A sequential model as a run fits it."""

    def scorer(self) -> ModelScorer:
        """Return a scorer on the device of the weights."""
        return ModelScorer(self, self.item_embedding.weight.device)

    def zero_branch(self) -> ModelScorer:
        """Return a scorer that leaves the fusion out."""
        return ModelScorer(self, self.item_embedding.weight.device, fused=False)

    def item_similarity(self, codes: Tensor) -> Tensor:
        """Return the cosines of the item vectors, `[N, I]`."""
        with torch.no_grad():
            vectors = normalize(self.item_vectors(whole=True).all()[1 : self.items + 1], dim=-1)  # [I, D]
        return vectors[codes.to(vectors.device) - 1] @ vectors.T         # [N, I]
