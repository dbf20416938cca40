"""The token filter and the expert of the published arithmetic (MLTFR, arXiv 2604.18200, and its code)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


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
