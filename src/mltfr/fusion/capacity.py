"""The capacity control: as many trained parameters as mltfr has, and no token table."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mltfr.fusion.base import Fusion, FusionInputs, register_fusion
from mltfr.fusion.init import Seeded, variance_preserving, zero
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.fusion.packing import corrected_positions, pack, unpack
from mltfr.kernels.dropout import Dropout


class CapacityConfig(MltfrConfig):
    """Settings of mltfr, whose number of parameters this fusion matches; dropout is its own too."""

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

    def __init__(self, config: CapacityConfig, inputs: FusionInputs) -> None:
        super().__init__()
        settings = MltfrConfig.model_validate({**config.model_dump(), "name": "mltfr"})
        with torch.device("meta"):  # shapes only
            self.mltfr_parameters = trained_parameters(MltfrFusion(settings, inputs))
        hidden = inputs.hidden
        width = max(1, round((self.mltfr_parameters - hidden) / (2 * hidden + 1)))
        with Seeded(inputs.seed):
            self.inner = variance_preserving(nn.Linear(hidden, width))
            self.output = zero(nn.Linear(width, hidden))
        self.dropout = Dropout(config.dropout)
        self.is_causal = inputs.is_causal

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return `delta`."""
        positions = corrected_positions(x, mask, self.is_causal)
        inner = functional.gelu(self.inner(pack(x, positions)))                  # [P, n]
        delta: Tensor = self.dropout(self.output(inner))                        # [P, D]
        return unpack(delta.to(x.dtype), positions, mask.shape)

    def report(self) -> dict[str, Any]:
        """Return how many parameters mltfr trains with these settings, and how many more there are here."""
        more = trained_parameters(self) - self.mltfr_parameters
        return {"mltfr_parameters": self.mltfr_parameters, "more_parameters": more}


def trained_parameters(module: nn.Module) -> int:
    """Return how many numbers of a module train."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
