"""One expert per LLM: the positions attend to the tokens that the filter kept from its table."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mltfr.dropout import Dropout
from mltfr.errors import ConfigError
from mltfr.fusion.initial import variance_preserving, zero
from mltfr.fusion.rows import Kept, row_dot, row_sum

Source = tuple[Tensor, Kept, Tensor]
"""A table's rows as an expert reads them `[M, D]`, those that are kept, and their log weights `[K, B, Q]`."""


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

    def forward(self, x: Tensor, sources: Sequence[Source]) -> Tensor:
        """Return what every position reads from its kept tokens, `[B, L, D]`.

        Args:
            x: `[B, L, D]`.
            sources: the adapted rows of one table or several `[M, D]`, those that are kept, and their log
                weights `[K, B, Q]`, which are added to the logits of every head.
        """
        query = self.query(x) * (self.heads / x.shape[-1]) ** 0.5               # [B, L, D]
        logits = torch.cat(
            [row_dot(query, self.key(rows), kept, self.heads) + weight.unsqueeze(-1)
             for rows, kept, weight in sources]
        )  # [N * K, B, L, H]                                                  # fmt: skip
        attention = torch.split(self.dropout(logits.softmax(0)), len(logits) // len(sources))
        read = torch.zeros_like(x)                                              # [B, L, D]
        for share, (rows, kept, _) in zip(attention, sources, strict=True):
            read = read + row_sum(share, self.value(rows), kept)
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

    def forward(self, x: Tensor, vectors: Tensor, kept: Kept, log_weight: Tensor) -> Tensor:
        """Return the correction of one table, `[B, L, D]`.

        Args:
            x: `[B, L, D]`.
            vectors: the shortlist's rows `[M, W]`.
            kept: those that are kept.
            log_weight: their log weights `[K, B, Q]`.
        """
        result: Tensor = self.core(x, [(self.adapter(vectors), kept, log_weight)])
        return result


def heads_do_not_divide(heads: int, hidden: int) -> ConfigError:
    """Return the error of a number of heads that does not divide the hidden width."""
    return ConfigError(
        f"fusion.heads is {heads}, not a divisor of backbone.hidden, which is {hidden}. Set fusion.heads to a divisor."
    )
