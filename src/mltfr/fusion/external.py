"""Domain words of the user's own: every position attends to their tokens and the tokens near them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mltfr.fusion.attention import CrossAttention
from mltfr.fusion.averages import Averages, mean_entropy, mean_shares
from mltfr.fusion.base import Fusion, FusionConfig, FusionInputs, register_fusion
from mltfr.fusion.init import Seeded
from mltfr.fusion.mltfr.model import Router
from mltfr.fusion.packing import corrected_positions, pack, unpack
from mltfr.fusion.source_rows import SourceRows
from mltfr.fusion.tables import ByTable, by_name
from mltfr.tokens.table import PreparedTable


class ExternalConfig(FusionConfig):
    """Settings of external domain words."""

    name: Literal["external"] = "external"
    words: tuple[str, ...] = ()
    """Words and phrases of the domain; `--words FILE` reads them from a file, one a line."""
    neighbours: int = Field(10, ge=0)
    """Nearest tokens that are read beside every token of a word."""
    heads: int = Field(4, ge=1)
    """Heads of an expert (H), a divisor of the hidden width."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout on an expert's attention and on its output."""

    @model_validator(mode="after")
    def _has_words(self) -> Self:
        if not any(word.strip() for word in self.words):
            raise ValueError("it reads a list of domain words, but words is empty. Give one with --words FILE")
        return self


class WordExpert(nn.Module):
    """The rows that the words name in one table, and the attention on them."""

    def __init__(self, table: PreparedTable, hidden: int, config: ExternalConfig) -> None:
        super().__init__()
        self.attention = CrossAttention(hidden, table.shape[1], config.heads, config.dropout)
        self.rows = SourceRows(table, config.words, config.neighbours)

    def forward(self, x: Tensor) -> Tensor:  # [P, D] -> [P, D]
        """Return the table's correction."""
        return self.attention(x, self.rows.vectors)


@register_fusion("external", ExternalConfig)
class ExternalFusion(Fusion):
    """Domain words instead of a filter: one expert per table reads the words' tokens and their neighbours.

    The words are the same for every user, and a router weighs the experts per position as in mltfr.

    Args:
        config: settings.
        inputs: D, the prepared tables and the seed.

    Raises:
        ConfigError: a table has none of the words, `heads` does not divide D, or there is no table.
    """

    corrects_items = True

    def __init__(self, config: ExternalConfig, inputs: FusionInputs) -> None:
        super().__init__()
        self.is_causal = inputs.is_causal
        tables = by_name(inputs.tables)
        experts = {}
        for table in tables:
            with Seeded(inputs.seed):  # for each again: a common start, and no table depends on another
                experts[table.name] = WordExpert(table, inputs.hidden, config)
        self.names = list(experts)
        self.experts = ByTable(experts)
        with Seeded(inputs.seed):
            self.router = Router(inputs.hidden, len(tables))
        self.averages = Averages()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return `delta`."""
        positions = corrected_positions(x, mask, self.is_causal)
        at = pack(x, positions)                                                  # [P, D]
        weights = self.router(at)                                               # [P, N]
        corrections = torch.stack([expert(at) for expert in self.experts.each()], dim=1)    # [P, N, D]
        delta = (weights.unsqueeze(-1) * corrections).sum(1)                    # [P, D]
        if self.training and self.averages.due("router"):
            observed = pack(mask, positions)                                     # [P]
            self.averages.add("share", mean_shares(weights.detach(), observed))
            self.averages.add("entropy", mean_entropy(weights.detach(), observed))
        return unpack(delta.to(x.dtype), positions, mask.shape)

    def diagnostics(self) -> dict[str, float | Mapping[str, float]]:
        """Return the router's shares and entropy."""
        router = self.averages.read()
        if not router:
            return {}
        return {
            "router_share": dict(zip(self.names, router["share"], strict=True)),
            "router_entropy": router["entropy"][0],
        }

    def report(self) -> dict[str, Any]:
        """Return how many words were found in every table."""
        return {"words": {name: self.experts.of(name).rows.report for name in self.names}}
