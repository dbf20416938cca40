"""Preset `reference`: the arithmetic of the published code (MLTFR, arXiv 2604.18200), exactly, with its defects."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mltfr.errors import ConfigError, MltfrWarning
from mltfr.fusion.attention import check_heads
from mltfr.fusion.base import FusionConfig, FusionInputs, TwoRoundFusion, register_fusion
from mltfr.fusion.fisher import merge_by_fisher
from mltfr.fusion.init import Seeded, freeze
from mltfr.fusion.tables import (
    ByTable,
    by_name,
    consensus_group,
    largest_group_of_one_width,
    module_key,
)
from mltfr.prefixes import under_prefix
from mltfr.tokens.table import PreparedTable


class ReferenceConfig(FusionConfig):
    """Settings of the published arithmetic; the defaults are those published for SASRec."""

    name: Literal["mltfr-reference"] = "mltfr-reference"
    keep: int = Field(1, ge=1)
    """Tokens kept per user and table (K): 1 with SASRec, BERT4Rec, LinRec; 10 with FMLP-Rec, BSARec."""
    temperature: float = Field(0.5, gt=0)
    """Temperature of the Gumbel softmax (tau)."""
    heads: int = Field(4, ge=1)
    """Heads of an expert (H)."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout on an expert's attention and on its output."""
    consensus_group: tuple[str, ...] | None = None
    """Tables whose experts are merged, all of one width; the largest such group if not given."""
    consensus_weight: float = Field(0.01, ge=0)
    """Weight of the consensus expert in round 2 (lambda); 0 leaves round 2 out."""

    @property
    def knows_later_items(self) -> bool:
        """True: the published query is the mean of the whole history, at every position."""
        return True


class ReferenceFilter(nn.Module):
    """Picks `keep` tokens of one table for every user, by cosine plus Gumbel noise.

    Args:
        embeddings: the table `[V, W]`; frozen, and not in `state_dict`.
        hidden: width D of the queries.
        keep: tokens kept per user (K).
        temperature: tau of the Gumbel softmax.
    """

    embeddings: Tensor

    def __init__(self, embeddings: Tensor, hidden: int, keep: int, temperature: float) -> None:
        super().__init__()
        self.register_buffer("embeddings", embeddings, persistent=False)
        self.projection = nn.Linear(embeddings.shape[1], hidden)
        self.keep = keep
        self.temperature = temperature

    def similarity(self, query: Tensor) -> Tensor:  # [B, D] -> [B, V]
        """Return the cosine of every user's query with every projected token."""
        projected = functional.normalize(self.projection(self.embeddings), dim=-1)  # [V, D]
        return functional.normalize(query, dim=-1) @ projected.T

    def select(self, similarity: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Return the kept rows, weighted by the straight-through weights, and their ids.

        Args:
            similarity: `[B, V]`.
            uniform: `[B, V]` in [0, 1), the source of the Gumbel noise.

        Returns:
            All users' rows pooled, `[B * K, W]`, and the ids `[B, K]`, best first.
        """
        gumbel = -torch.log(-torch.log(uniform + 1e-10) + 1e-10)                # [B, V]
        soft = torch.softmax((similarity + gumbel) / self.temperature, dim=-1)  # [B, V]
        picked, ids = soft.topk(self.keep, dim=-1)                              # [B, K], [B, K]
        weight = (1.0 - picked).detach() + picked                               # [B, K]
        weight = weight / (weight.sum(-1, keepdim=True) + 1e-8)
        rows = self.embeddings[ids] * weight.unsqueeze(-1)                      # [B, K, W]
        return rows.flatten(0, 1), ids


class ReferenceExpert(nn.Module):
    """Multi-head attention of all positions on one pooled set of rows.

    Args:
        width: width W of the rows.
        hidden: width D of the positions.
        heads: number of heads H.
        dropout: dropout on the attention and on the output.
    """

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(width, hidden)
        self.value = nn.Linear(width, hidden)
        self.output = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads

    def forward(self, x: Tensor, rows: Tensor) -> Tensor:  # [B, L, D], [S, W] -> [B, L, D]
        """Return what the positions read from the rows."""
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)      # [B, H, L, d]
        key = self.key(rows).unflatten(-1, (self.heads, -1)).transpose(0, 1)       # [H, S, d]
        value = self.value(rows).unflatten(-1, (self.heads, -1)).transpose(0, 1)   # [H, S, d]
        logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5            # [B, H, L, S]
        read = self.dropout(torch.softmax(logits, dim=-1)) @ value                 # [B, H, L, d]
        return self.dropout(self.output(read.transpose(1, 2).flatten(2)))


@register_fusion("mltfr-reference", ReferenceConfig)
class ReferenceFusion(TwoRoundFusion):
    """The published arithmetic, exactly: for comparison, not for use.

    Args:
        config: settings.
        inputs: D, the raw token tables and the seed.

    Raises:
        ConfigError: settings that do not fit the tables or the hidden width.
    """

    tables_in_state = False
    fisher_estimator = "batch"

    @classmethod
    def rounds_of(cls, config: ReferenceConfig) -> int:
        """Return 1 where the consensus expert is left out."""
        return 2 if config.consensus_weight > 0 else 1

    def __init__(self, config: ReferenceConfig, inputs: FusionInputs) -> None:
        super().__init__()
        tables = by_name(inputs.tables)
        check_heads(config.heads, inputs.hidden)
        for table in tables:
            if config.keep > table.shape[0]:
                raise ConfigError(
                    f"keep is {config.keep}, but token table '{table.name}' has {table.shape[0]} tokens. Lower "
                    "fusion.keep, or leave the table out of tokens.tables."
                )
        self.config = config
        self.hidden = inputs.hidden
        self.rounds = self.rounds_of(config)
        self.names = [table.name for table in tables]
        self.group = _group(config, tables)
        if self.rounds > 1 and len(self.group) < 2:
            warnings.warn(
                f"The published consensus expert merges tables of one width, and only '{self.group[0]}' has its width: "
                "it is no consensus. Name two tables of one width, or set fusion.consensus_weight=0.",
                MltfrWarning,
                stacklevel=2,
            )
        self.group_width = next(table.shape[1] for table in tables if table.name == self.group[0])
        with Seeded(inputs.seed):
            self.filters = ByTable({table.name: self._filter(table) for table in tables})
            self.experts = ByTable({table.name: self._expert(table.shape[1]) for table in tables})
            self.router = nn.Linear(inputs.hidden, len(tables))
        self.consensus: nn.Module | None = None

    def forward(self, x: Tensor, mask: Tensor, uniform: Mapping[str, Tensor] | None = None) -> Tensor:
        """Return `delta` `[B, L, D]`; `uniform` `[B, V]` by table name replaces the noise that is drawn."""
        rows = self.select(x, mask, uniform)                                        # {name: [S, W]}
        delta = self.routed(x, rows)                                                # [B, L, D]
        if self.consensus is not None:
            source = torch.stack([rows[name] for name in self.group]).mean(0)       # [S, W]
            delta = delta + self.config.consensus_weight * self.consensus(x, source)
        return delta

    def query(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, D]
        """Return the mean over the whole history."""
        count = mask.sum(1, keepdim=True).clamp(min=1)                              # [B, 1]
        return (x * mask.unsqueeze(-1)).sum(1) / count

    def select(self, x: Tensor, mask: Tensor, uniform: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """Return the pooled rows `[S, W]` of every table, by name."""
        query = self.query(x, mask)                                                 # [B, D]
        rows = {}
        for name in self.names:
            token_filter = self.filters.of(name)
            similarity = token_filter.similarity(query)                             # [B, V]
            noise = torch.rand_like(similarity) if uniform is None else uniform[name]
            rows[name], _ = token_filter.select(similarity, noise)
        return rows

    def router_weights(self, x: Tensor) -> Tensor:  # [B, L, D] -> [B, L, N]
        """Return the weight of every expert at every position, in the order of the tables' names."""
        return torch.softmax(self.router(x), dim=-1)

    def routed(self, x: Tensor, rows: Mapping[str, Tensor]) -> Tensor:  # [B, L, D] -> [B, L, D]
        """Return the routed sum of the experts."""
        weights = self.router_weights(x).unsqueeze(-1).unbind(-2)                   # N x [B, L, 1]
        read = [self.experts.of(name)(x, rows[name]) for name in self.names]
        return torch.stack([weight * expert for weight, expert in zip(weights, read, strict=True)]).sum(0)

    def fisher_parameters(self) -> dict[str, nn.Parameter]:
        """Return all parameters of all experts."""
        return {f"experts.{name}": parameter for name, parameter in self.experts.named_parameters()}

    def merge_experts(self, fisher: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the group's experts averaged by their Fisher information, as published."""
        prefixes = [f"experts.{module_key(name)}" for name in self.group]
        own = dict(self.fisher_parameters())
        return merge_by_fisher(
            [under_prefix(prefix, own) for prefix in prefixes],
            [under_prefix(prefix, fisher) for prefix in prefixes],
            mode="plain",
        )

    def add_consensus(self, tensors: Mapping[str, Tensor]) -> None:
        """Add the frozen consensus expert."""
        with torch.device("meta"):  # no random numbers are drawn
            expert = self._expert(self.group_width)
        expert.load_state_dict(dict(tensors), assign=True)
        self.consensus = freeze(expert).to(self.router.weight.device).train(self.training)

    def _filter(self, table: PreparedTable) -> ReferenceFilter:
        embeddings = torch.from_numpy(np.array(table.vectors, dtype=np.float32))    # [V, W]
        return ReferenceFilter(embeddings, self.hidden, self.config.keep, self.config.temperature)

    def _expert(self, width: int) -> ReferenceExpert:
        return ReferenceExpert(width, self.hidden, self.config.heads, self.config.dropout)


def _group(config: ReferenceConfig, tables: Sequence[PreparedTable]) -> list[str]:
    if not config.consensus_group:
        return largest_group_of_one_width(tables)
    group = consensus_group(config.consensus_group, [table.name for table in tables])
    widths = {table.name: table.shape[1] for table in tables if table.name in group}
    if len(set(widths.values())) > 1:
        raise ConfigError(
            f"consensus_group has tables of different widths: {widths}. The published consensus expert reads "
            "their mean: name tables of one width, or use the fusion 'mltfr'."
        )
    return group

