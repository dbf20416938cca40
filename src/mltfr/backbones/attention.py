"""Multi-head self-attention over the positions of a history."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mltfr.kernels.dropout import Dropout
from mltfr.kernels.softmax import softmax


class SelfAttention(nn.Module):
    """Scaled dot-product attention with `heads` heads (Vaswani et al. 2017, section 3.2).

    Written out because at these sizes torch's fused kernel is slower on a CPU, and so that `torch.func`
    can take per-example gradients through it.

    Args:
        hidden: hidden width D, a multiple of `heads`.
        heads: number of heads H.
        dropout: dropout on the attention weights.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (hidden // heads) ** -0.5
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.output = nn.Linear(hidden, hidden)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor, last: int | None = None) -> Tensor:
        """Let every position read the allowed ones.

        Args:
            x: `[B, L, D]`.
            bias: `[B, 1, L, L]`, 0 where a position (row) may read another (column), else minus infinity.
            last: how many positions, from the end, read; all if not given.

        Returns:
            `[B, last or L, D]`.
        """
        size, length, hidden = x.shape
        joint = self.query_key_value(x).view(size, length, 3, self.heads, hidden // self.heads)
        query, key, value = joint.permute(2, 0, 3, 1, 4).unbind(0)                # 3 x [B, H, L, D/H]
        if last is not None:
            query, bias = query[:, :, -last:], bias[:, :, -last:]
        scores = (query * self.scale) @ key.transpose(-1, -2)                     # [B, H, T, L], T readers
        weights = self.dropout(softmax(scores.add_(bias)))                       # [B, H, T, L]
        mixed = (weights @ value).transpose(1, 2).reshape(size, -1, hidden)       # [B, T, D]
        return self.output(mixed)


def attention_bias(mask: Tensor, causal: bool) -> Tensor:
    """Return what is added to the attention scores, `[B, 1, L, L]`.

    A position never reads padding, nor, if `causal`, a later position. It always reads itself: a row
    without any allowed position has no softmax.

    Args:
        mask: bool `[B, L]`, False at padding.
        causal: whether later positions are hidden.
    """
    length = mask.shape[-1]
    allowed = mask.unsqueeze(-2)                                                  # [B, 1, L]
    if causal:
        allowed = allowed & torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    allowed = allowed | torch.eye(length, dtype=torch.bool, device=mask.device)   # [B, L, L]
    bias = torch.zeros(allowed.shape, device=mask.device).masked_fill(~allowed, float("-inf"))
    return bias.unsqueeze(-3)
