"""Direct injection: whole token tables, pressed into a few prototype rows, for every position alike."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from mltfr.fusion.attention import CrossAttention
from mltfr.fusion.base import Fusion, FusionConfig, FusionInputs, register_fusion
from mltfr.fusion.init import Seeded
from mltfr.fusion.packing import corrected_positions, pack, unpack
from mltfr.fusion.prototypes import Prototypes
from mltfr.fusion.tables import ByTable, by_name
from mltfr.tokens.table import PreparedTable


class DirectConfig(FusionConfig):
    """Settings of direct injection."""

    name: Literal["direct"] = "direct"
    layers: tuple[PositiveInt, ...] = Field((1024, 1024, 512, 256, 128, 50), min_length=1)
    """Widths of the MLP over the vocabulary axis, with ReLU between them; the last is the number of prototypes."""
    heads: int = Field(4, ge=1)
    """Heads of the attention (H), a divisor of the hidden width."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout on the attention and on its output."""


class Injection(nn.Module):
    """One table's prototypes, and the attention on them."""

    def __init__(self, table: PreparedTable, hidden: int, config: DirectConfig) -> None:
        super().__init__()
        self.attention = CrossAttention(hidden, table.shape[1], config.heads, config.dropout)
        self.prototypes = Prototypes(table, config.layers)

    def forward(self, x: Tensor) -> Tensor:  # [P, D] -> [P, D]
        """Return the table's correction."""
        return self.attention(x, self.prototypes())


@register_fusion("direct", DirectConfig)
class DirectFusion(Fusion):
    """Direct injection of whole tables: an MLP over the vocabulary makes prototypes that all positions attend to.

    The single-LLM injection that MLTFR (arXiv 2604.18200) is motivated by. Several tables are injected each
    on its own, and the mean of their corrections is added: no filter, no router, no consensus.

    Args:
        config: settings.
        inputs: D, the prepared tables and the seed.

    Raises:
        ConfigError: `heads` does not divide D, or there is no table.
    """

    corrects_items = True

    def __init__(self, config: DirectConfig, inputs: FusionInputs) -> None:
        super().__init__()
        self.is_causal = inputs.is_causal
        injections = {}
        for table in by_name(inputs.tables):
            with Seeded(inputs.seed):  # for each again: no table depends on another
                injections[table.name] = Injection(table, inputs.hidden, config)
        self.injections = ByTable(injections)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return `delta`."""
        positions = corrected_positions(x, mask, self.is_causal)
        at = pack(x, positions)                                                  # [P, D]
        corrections = [injection(at) for injection in self.injections.each()]   # [P, D] each
        delta: Tensor = sum(corrections[1:], corrections[0]) / len(corrections)
        return unpack(delta.to(x.dtype), positions, mask.shape)
