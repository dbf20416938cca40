"""As much of a sequential model as a scorer asks for, and a retriever on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor, nn

from mltfr.baselines.popularity import Popularity
from mltfr.inference import FallbackScorer, ModelScorer, Retriever


class Encoder(nn.Module):
    """Is only asked how long a history may be."""

    max_length = 50


class Network(nn.Module):
    """As much of a sequential model as a scorer asks for."""

    mask_token = None

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.items = len(vectors) - 1
        self.backbone = Encoder()
        self.item_embedding = nn.Embedding.from_pretrained(vectors.clone(), freeze=False)

    def prepare(self, fused: bool) -> None:
        """Prepare nothing."""

    def user_embedding(self, batch: Tensor, prepared: None, fused: bool) -> Tensor:
        """Read a history as the sum of its items' vectors."""
        return (self.item_embedding(batch) * (batch > 0).unsqueeze(-1)).sum(1)

    def scoring_matrix(self, prepared: None = None) -> Tensor:
        return self.item_embedding.weight


def retriever_of(network: Network, folder: Path | None = None) -> Retriever:
    """Return a retriever by the network, and by popularity for histories without a known item."""
    popular = Popularity.of_counts(np.arange(network.items + 1))
    return Retriever(lambda: FallbackScorer(ModelScorer(network), popular), folder)
