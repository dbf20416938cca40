"""LinRec: L2-normalised linear attention (Liu et al., SIGIR 2023, arXiv 2411.01537)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import elu

from mltfr.backbones.base import Backbone, BackboneConfig, register_backbone
from mltfr.backbones.transformer import (
    NORM_EPS,
    Activation,
    FeedForward,
    Positions,
    PostNorm,
    check_heads,
    initialise,
)
from mltfr.kernels.dropout import Dropout

KeyNorm = Literal["column", "row"]


class LinRecConfig(BackboneConfig):
    """Settings of LinRec: a SASRec-like transformer whose attention is linear in the length."""

    name: Literal["linrec"] = "linrec"
    blocks: int = Field(2, ge=1)
    """Number of blocks."""
    heads: int = Field(2, ge=1)
    """Attention heads; `hidden` is a multiple of it."""
    inner: int = Field(4, ge=1)
    """Feed-forward width as a multiple of `hidden`."""
    activation: Activation = "gelu"
    """Activation of the feed-forward net: gelu or relu."""
    key_norm: KeyNorm = "column"
    """What the keys are divided by: the norm of each of their features along the history (column), as in the paper's
    text, or every key's own norm (row), as in the authors' code."""

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        check_heads(self.hidden, self.heads)
        return self


class LinearAttention(nn.Module):
    """`ρ₁(elu(Q)) (ρ₂(elu(K))ᵀ V) / √d` in every head of width d (section 3.2), in O(L d²) steps.

    `ρ₁` divides every row of Q, a position's query, by its L2 norm; `ρ₂` divides every column of K, one
    feature of the keys along one user's history, by its L2 norm; the authors' code divides every key by its own norm
    instead (`key_norm = "row"`), and has one scale of `1 / √d`, as here. Padding has no keys: it counts neither in the
    sum over positions nor in that norm. Without a matrix of attention weights nothing can be hidden from single
    positions: all of them read the whole history.

    Args:
        hidden: hidden width D, a multiple of `heads`.
        heads: number of heads H.
        key_norm: "column" or "row".
    """

    def __init__(self, hidden: int, heads: int, key_norm: KeyNorm = "column") -> None:
        super().__init__()
        self.heads = heads
        self.key_norm = key_norm
        self.scale = (hidden // heads) ** -0.5
        self.query = nn.Linear(hidden, hidden)
        self.key_value = nn.Linear(hidden, 2 * hidden)
        self.output = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, mask: Tensor, last: int | None = None) -> Tensor:
        """Let every position read the whole history.

        Args:
            x: `[B, L, D]`.
            mask: float `[B, L, 1]`, 0 at padding.
            last: how many positions, from the end, read; all if not given.

        Returns:
            `[B, last or L, D]`.
        """
        size, length, hidden = x.shape
        width = hidden // self.heads
        by_head = (size, -1, self.heads, width)
        reading = x if last is None else x[:, -last:]                            # [B, T, D]
        key, value = self.key_value(x).chunk(2, dim=-1)                          # 2 x [B, L, D]
        key = (elu(key) * mask).view(by_head)                                    # [B, L, H, d]
        query = elu(self.query(reading)).view(by_head)                            # [B, T, H, d]
        query = query * _inverse_norm(query, dim=-1)
        if self.key_norm == "row":
            query, key = self.scale * query, key * _inverse_norm(key, dim=-1)
        else:
            query = query * (self.scale * _inverse_norm(key, dim=1))
        readers = query.transpose(1, 2)                                          # [B, H, T, d]
        keys = key.permute(0, 2, 3, 1)                                           # [B, H, d, L]
        values = value.reshape(by_head).transpose(1, 2)                          # [B, H, L, d]
        if 2 * query.shape[1] * length < (query.shape[1] + length) * width:      # the same, the cheaper way round
            mixed = (readers @ keys) @ values                                    # [B, H, T, d]
        else:
            mixed = readers @ (keys @ values)
        mixed = mixed.transpose(1, 2).reshape(size, -1, hidden)                  # [B, T, D]
        return self.output(mixed)


def _inverse_norm(x: Tensor, dim: int) -> Tensor:
    """Return 1 / the L2 norm along `dim`, which is kept; finite, also in its gradient, where all is zero."""
    return (x.square().sum(dim, keepdim=True) + NORM_EPS).rsqrt()


class LinRecBlock(nn.Module):
    """Linear attention, then a feed-forward net, each with a residual connection and a LayerNorm after it.

    Args:
        config: settings of LinRec.
    """

    def __init__(self, config: LinRecConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.attention = PostNorm(LinearAttention(hidden, config.heads, config.key_norm), hidden, config.dropout)
        self.feed_forward = PostNorm(
            FeedForward(hidden, config.inner * hidden, config.activation), hidden, config.dropout
        )

    def forward(self, x: Tensor, mask: Tensor, last: int | None = None) -> Tensor:  # [B, L, D] -> [B, T, D]
        """Run the block, for the last positions only if a number of them is given."""
        return self.feed_forward(self.attention(x, mask, last))


@register_backbone("linrec", LinRecConfig)
class LinRec(Backbone):
    """Linear attention over the whole history, so it trains on prefixes and is read at the last item."""

    is_causal = False

    def __init__(self, config: LinRecConfig) -> None:
        super().__init__(config)
        self.positions = Positions(config.max_length, config.hidden)
        self.input_norm = nn.LayerNorm(config.hidden, eps=NORM_EPS)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(LinRecBlock(config) for _ in range(config.blocks))
        self.apply(initialise)

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # [B, L, D], [B, L] -> [B, L, D]
        """Add positions, normalise, drop out; the context is the mask `[B, L, 1]` as numbers."""
        shown = mask.unsqueeze(-1).to(items.dtype)  # [B, L, 1]
        return self.dropout(self.input_norm(self.positions(items))) * shown, shown

    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return the last block's output, which is normalised already."""
        return x
