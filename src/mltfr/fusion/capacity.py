"""The capacity controls: as many trained parameters as mltfr has, and no token table."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mltfr.fusion.base import Fusion, FusionInputs, register_fusion
from mltfr.fusion.init import Seeded, variance_preserving, zero
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.fusion.mltfr.queries import make_queries
from mltfr.fusion.packing import corrected_positions, pack, unpack
from mltfr.kernels.dropout import Dropout


class CapacityConfig(MltfrConfig):
    """Settings of mltfr, whose number of parameters this fusion matches; dropout is as mltfr's."""

    name: Literal["capacity"] = "capacity"  # type: ignore[assignment]


@register_fusion("capacity", CapacityConfig)
class CapacityFusion(Fusion):
    """Control: an MLP at every position with as many trained parameters as mltfr, and no knowledge of any table.

    `delta = GELU(x A + a) B + b`, B and b zero at the start. Tables are named to count by, and their vectors
    are not read. Its hidden width is where the counts come nearest.

    Args:
        config: mltfr's settings.
        inputs: D, the prepared tables and the seed.

    Raises:
        ConfigError: settings that mltfr refuses.
    """

    corrects_items = True
    supports_cuda_graph = True
    inputs_read = 1
    """Vectors of width D that the MLP reads at a position."""

    def __init__(self, config: CapacityConfig, inputs: FusionInputs) -> None:
        super().__init__()
        settings = MltfrConfig.model_validate({**config.model_dump(), "name": "mltfr"})
        with torch.device("meta"):  # shapes only
            self.mltfr_parameters = trained_parameters(MltfrFusion(settings, inputs))
        hidden, read = inputs.hidden, self.inputs_read * inputs.hidden
        width = max(1, round((self.mltfr_parameters - hidden) / (read + hidden + 1)))
        with Seeded(inputs.seed):
            self.inner = variance_preserving(nn.Linear(read, width))
            self.output = zero(nn.Linear(width, hidden))
        self.dropout = Dropout(config.dropout_beside(inputs.dropout))
        self.is_causal = inputs.is_causal

    def read(self, x: Tensor, mask: Tensor, count: int, vectors: Tensor | None = None) -> Tensor:
        """Return what the MLP reads at the last `count` positions, `[B, count, n D]`: the state there."""
        return x[:, -count:]

    def forward(self, x: Tensor, mask: Tensor, vectors: Tensor | None = None) -> Tensor:
        """Return `delta`: `[B, L, D]`, `[B, L]` -> `[B, L, D]`."""
        return self.last(x, mask, x.shape[1], vectors)

    def last(self, x: Tensor, mask: Tensor, count: int, vectors: Tensor | None = None) -> Tensor:
        """Return `delta` at the last `count` positions: `[B, L, D]`, `[B, L]` -> `[B, count, D]`."""
        read = self.read(x, mask, count, vectors)                               # [B, count, n D]
        x, mask = x[:, -count:], mask[:, -count:]
        positions = corrected_positions(x, mask, self.is_causal)                # [P]
        inner = functional.gelu(self.inner(pack(read, positions)))              # [P, w]
        delta: Tensor = self.dropout(self.output(inner))                        # [P, D]
        return unpack(delta.to(x.dtype), positions, mask.shape)

    def report(self) -> dict[str, Any]:
        """Return how many parameters mltfr trains with these settings, and how many more there are here."""
        more = trained_parameters(self) - self.mltfr_parameters
        return {"mltfr_parameters": self.mltfr_parameters, "more_parameters": more}


class CapacityHistoryConfig(CapacityConfig):
    """Settings of mltfr, whose number of parameters and whose query this fusion matches; dropout is as mltfr's."""

    name: Literal["capacity-history"] = "capacity-history"  # type: ignore[assignment]


@register_fusion("capacity-history", CapacityHistoryConfig)
class CapacityHistoryFusion(CapacityFusion):
    """Control: an MLP on all that mltfr sees of a history, its state and the query's mean, and no table.

    `delta = GELU([x, mean] A + a) B + b`, `mean` being the direction that mltfr asks with, of norm `sqrt(D)`: of the
    history up to the position, or of all of it where the backbone is bidirectional. What it gains as well, mltfr owes
    to the summary of the history and not to any tokens.

    Args:
        config: mltfr's settings.
        inputs: D, whether positions look back only, the prepared tables and the seed.

    Raises:
        ConfigError: settings that mltfr refuses.
    """

    corrects_items = False
    inputs_read = 2
    reads_item_vectors = True

    def __init__(self, config: CapacityHistoryConfig, inputs: FusionInputs) -> None:
        super().__init__(config, inputs)
        self.queries = make_queries(config.filter, inputs.is_causal)
        self.from_items = config.filter.query_from == "items"
        self.needs_prefixes = inputs.is_causal and config.knows_later_items

    def read(self, x: Tensor, mask: Tensor, count: int, vectors: Tensor | None = None) -> Tensor:
        """Return the states and the means of the histories at the last `count` positions, `[B, count, 2 D]`."""
        mean = self.queries.mean(vectors if vectors is not None and self.from_items else x, mask, count)
        x, mean = x[:, -count:], functional.normalize(mean, dim=-1) * x.shape[-1] ** 0.5    # [B, count or 1, D]
        return torch.cat([x, mean.expand_as(x)], dim=-1)


def trained_parameters(module: nn.Module) -> int:
    """Return how many numbers of a module train."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
