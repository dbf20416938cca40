"""The smallest backbones, tables and batches that a test of a fusion needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mltfr.backbones import Backbone, BackboneConfig
from mltfr.tokens.table import PreparedTable

HIDDEN = 16
ITEMS = 30
LENGTH = 7


class ToyBlock(nn.Module):
    """Adds a mixture of the positions before (causal) or of all positions."""

    def __init__(self, is_causal: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(HIDDEN, HIDDEN)
        self.is_causal = is_causal

    def forward(self, x: Tensor, mask: Tensor, last: int = 0) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return the block's output, at the last positions only if a number is given."""
        kept = x * mask.unsqueeze(-1)
        mixed = kept.cumsum(1) if self.is_causal else kept.sum(1, keepdim=True)
        return (x + torch.tanh(self.linear(mixed)))[:, -last:]


class ToyBackbone(Backbone):
    """The smallest backbone with two blocks, without dropout."""

    is_causal = True

    def __init__(self) -> None:
        super().__init__(BackboneConfig(name="toy", hidden=HIDDEN, max_length=LENGTH + 8))
        self.blocks = nn.ModuleList(ToyBlock(self.is_causal) for _ in range(2))

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Any]:
        """Return the item vectors, and the mask for the blocks."""
        return 10 * items, mask

    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the stack's output."""
        return x


class ToyBidirectional(ToyBackbone):
    """The same with every position seeing all others."""

    is_causal = False


def random_table(name: str, size: int = 60, width: int = 12, seed: int = 0) -> PreparedTable:
    """Return a table of unit Gaussian vectors in float16, read-only as a memory map from the store is."""
    generator = np.random.default_rng([seed, *name.encode()])
    vectors = generator.normal(size=(size, width))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    vectors.setflags(write=False)
    return PreparedTable(name, vectors, tuple(f"word{index}" for index in range(size)))


def fusion_batch(users: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return `x` `[B, L, D]`, zero at padding, and the mask of right-aligned histories."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, LENGTH + 1, (users, 1), generator=generator)
    mask = torch.arange(LENGTH) >= LENGTH - lengths
    x = torch.randn(users, LENGTH, HIDDEN, generator=generator)
    return x * mask.unsqueeze(-1), mask
