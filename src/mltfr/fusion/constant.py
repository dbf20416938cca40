"""The constant control: one learned vector, the same for everybody everywhere."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mltfr.fusion.base import Fusion, FusionConfig, FusionInputs, register_fusion


class ConstantConfig(FusionConfig):
    """Settings of the constant control."""

    name: Literal["constant"] = "constant"


@register_fusion("constant", ConstantConfig)
class ConstantFusion(Fusion):
    """Control: `delta` is one learned vector, zero at the start, at every position of every history.

    What it gains as well is a shift that no token, and no history, decides.

    Args:
        config: settings.
        inputs: D.
    """

    corrects_items = True
    needs_tables = False
    supports_cuda_graph = True

    def __init__(self, config: ConstantConfig, inputs: FusionInputs) -> None:
        super().__init__()
        self.output = nn.Parameter(torch.zeros(inputs.hidden))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return `delta`."""
        return self.output.to(x.dtype).expand_as(x)
