"""No fusion: the bare backbone."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mltfr.fusion.base import Fusion, FusionConfig, FusionInputs, register_fusion


class NoFusionConfig(FusionConfig):
    """The bare backbone has nothing to set."""

    name: Literal["none"] = "none"


@register_fusion("none", NoFusionConfig)
class NoFusion(Fusion):
    """The bare backbone: no token table, no correction."""

    needs_tables = False

    def __init__(self, config: NoFusionConfig, inputs: FusionInputs) -> None:
        super().__init__()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return zeros."""
        return torch.zeros_like(x)
