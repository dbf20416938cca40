"""One expert per LLM: the positions attend to the tokens that the filter kept from its table."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mltfr.backbones.dropout import Dropout
from mltfr.fusion.initial import variance_preserving, zero
from mltfr.fusion.rows import pick_rows


class AttentionCore(nn.Module):
    """Multi-head cross-attention of each position on its own kept tokens; the part that can be merged.

    The key has no bias: it would shift all logits of a position alike and cancel in the softmax. The
    output starts at zero, so that a fresh fusion changes nothing.

    Args:
        hidden: width D.
        heads: number of heads H, a divisor of D.
        dropout: dropout on the attention and on the output.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query = variance_preserving(nn.Linear(hidden, hidden))
        self.key = variance_preserving(nn.Linear(hidden, hidden, bias=False))
        self.value = variance_preserving(nn.Linear(hidden, hidden))
        self.output = zero(nn.Linear(hidden, hidden))
        self.dropout = Dropout(dropout)
        self.heads = heads

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, log_weight: Tensor) -> Tensor:
        """Return what every position reads from its kept tokens, `[B, L, D]`.

        Args:
            x: `[B, L, D]`.
            keys: `[K, B, Q, D]`, Q being L, or 1 where all positions of a user share their tokens.
            values: `[K, B, Q, D]`.
            log_weight: `[K, B, Q]`, added to the logits of every head.
        """
        heads = (self.heads, x.shape[-1] // self.heads)
        query = self.query(x) * (self.heads / x.shape[-1]) ** 0.5               # [B, L, D]
        logits = torch.unflatten(query * keys, -1, heads).sum(-1)                 # [K, B, L, H]
        attention = (logits + log_weight.unsqueeze(-1)).softmax(0)              # [K, B, L, H]
        weight = self.dropout(attention).unsqueeze(-1)                          # [K, B, L, H, 1]
        read = (weight * torch.unflatten(values, -1, heads)).sum(0).flatten(-2)  # [B, L, D]
        result: Tensor = self.dropout(self.output(read))
        return result


class Expert(nn.Module):
    """An adapter, which aligns one table's space, and an attention core.

    The core is initialised first: with one seed all experts start with the same core, and those of
    tables of one width with the same adapter.

    Args:
        width: width W of the table.
        hidden: width D.
        heads: number of heads H.
        dropout: dropout on the attention and on the output.
    """

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.core = AttentionCore(hidden, heads, dropout)
        self.adapter = variance_preserving(nn.Linear(width, hidden))

    def forward(self, x: Tensor, vectors: Tensor, kept: Tensor, log_weight: Tensor) -> Tensor:
        """Return the correction of one table, `[B, L, D]`.

        Args:
            x: `[B, L, D]`.
            vectors: the shortlist's rows `[M, W]`.
            kept: rows of the shortlist `[K, B, Q]`.
            log_weight: `[K, B, Q]`.
        """
        keys, values = gather_sources(self.core, self.adapter, vectors, kept)   # 2 x [K, B, Q, D]
        result: Tensor = self.core(x, keys, values, log_weight)
        return result


def gather_sources(
    core: AttentionCore, adapter: nn.Module, vectors: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor]:  # [M, W], [K, B, Q] -> 2 x [K, B, Q, D]
    """Return keys and values of the kept tokens, projected once for the whole shortlist."""
    adapted = adapter(vectors)                                                  # [M, D]
    return pick_rows(core.key(adapted), kept), pick_rows(core.value(adapted), kept)
