"""BSARec: self-attention and a frequency filter side by side (Shin et al., AAAI 2024, arXiv 2312.10325)."""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mltfr.backbones.attention import SelfAttention, attention_bias
from mltfr.backbones.base import Backbone, BackboneConfig, register_backbone
from mltfr.backbones.frequency import corner, low_pass
from mltfr.backbones.transformer import (
    NORM_EPS,
    FeedForward,
    Positions,
    PostNorm,
    check_heads,
    initialise,
)
from mltfr.kernels.dropout import Dropout

Context = tuple[Tensor, Tensor]
"""The mask `[B, L]` and the attention bias `[B, 1, L, L]`."""


class BSARecConfig(BackboneConfig):
    """Settings of BSARec; the defaults are those published for Amazon Beauty."""

    name: Literal["bsarec"] = "bsarec"
    blocks: int = Field(2, ge=1)
    """Number of blocks."""
    heads: int = Field(1, ge=1)
    """Attention heads; `hidden` is a multiple of it."""
    inner: int = Field(4, ge=1)
    """Feed-forward width as a multiple of `hidden`."""
    alpha: float = Field(0.7, ge=0, le=1)
    """Share of the frequency branch in a block's mixture (alpha); attention has the rest."""
    cutoff: int = Field(5, ge=1)
    """Components of the spectrum that count as low, positive and negative frequencies together (c)."""

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        check_heads(self.hidden, self.heads)
        return self

    @model_validator(mode="after")
    def _some_frequency_is_high(self) -> Self:
        if self.cutoff // 2 >= self.max_length // 2:
            raise ValueError(
                f"cutoff is {self.cutoff} and max_length is {self.max_length}; all frequencies would be low. "
                "Lower cutoff or raise max_length, so that half of cutoff is below half of max_length."
            )
        return self


class FrequencyRescaler(nn.Module):
    """Rescales the high frequencies of every channel: `low(x) + beta^2 * (x - low(x))`.

    The "frequency rescaler" of the paper, with beta squared as in the published code. `low` keeps the frequencies
    0 to `cutoff // 2` of the window, which is one fixed matrix.

    Args:
        length: length of the window L.
        hidden: hidden width D.
        cutoff: components that count as low.
    """

    low_pass: Tensor

    def __init__(self, length: int, hidden: int, cutoff: int) -> None:
        super().__init__()
        self.root = nn.Parameter(torch.randn(hidden))
        """Root of a channel's factor, beta, `[D]`."""
        # derived from the settings, so no part of a saved state
        self.register_buffer("low_pass", low_pass(length, cutoff // 2 + 1), persistent=False)  # [L, L]

    def forward(self, x: Tensor, last: int | None = None) -> Tensor:
        """Rescale the window.

        Args:
            x: the last T positions, `[B, T, D]`, zero at padding.
            last: how many positions, from the end, to return; all if not given.

        Returns:
            `[B, last or T, D]`.
        """
        matrix = corner(self.low_pass, x.shape[1], last)                                # [R, T], R readers
        low = (matrix @ x).to(x.dtype)                                                    # [B, R, D]
        return torch.lerp(low, x[:, -len(matrix) :], self.root.square())


class BSARecBlock(nn.Module):
    """Frequency branch and attention mixed, `alpha * frequency(x) + (1 - alpha) * attention(x)`, then a net.

    Both branches and the feed-forward net have a residual connection and a LayerNorm, the branches before they
    are mixed, as in the published code.

    Args:
        config: the backbone's settings.
    """

    def __init__(self, config: BSARecConfig) -> None:
        super().__init__()
        hidden, dropout = config.hidden, config.dropout
        self.alpha = config.alpha
        self.frequency = PostNorm(FrequencyRescaler(config.max_length, hidden, config.cutoff), hidden, dropout)
        self.attention = PostNorm(SelfAttention(hidden, config.heads, dropout), hidden, dropout)
        self.feed_forward = PostNorm(FeedForward(hidden, config.inner * hidden, "gelu"), hidden, dropout)

    def forward(self, x: Tensor, context: Context, last: int | None = None) -> Tensor:
        """Return the block's output `[B, last or T, D]` for `x` `[B, T, D]`."""
        mask, bias = context
        x = x * mask.unsqueeze(-1)  # the block before left something at padding
        mixed = torch.lerp(self.attention(x, bias, last), self.frequency(x, last), self.alpha)  # [B, R, D]
        return self.feed_forward(mixed)


@register_backbone("bsarec", BSARecConfig)
class BSARec(Backbone):
    """Causal self-attention mixed with a filter over the whole window; trained on the last position of prefixes."""

    is_causal = False

    def __init__(self, config: BSARecConfig) -> None:
        super().__init__(config)
        self.positions = Positions(config.max_length, config.hidden)
        self.input_norm = nn.LayerNorm(config.hidden, eps=NORM_EPS)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(BSARecBlock(config) for _ in range(config.blocks))
        self.apply(initialise)

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Context]:  # [B, L, D], [B, L] -> [B, L, D]
        """Add positions, normalise, drop out; the context is the mask and the attention bias."""
        x = self.dropout(self.input_norm(self.positions(items)))  # [B, L, D]
        return x * mask.unsqueeze(-1), (mask, attention_bias(mask, causal=True))

    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return the last block's output, which is normalised already."""
        return x
