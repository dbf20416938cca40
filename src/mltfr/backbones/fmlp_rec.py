"""FMLP-Rec: learned filters in the frequency domain (Zhou et al., WWW 2022, arXiv 2202.13556)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mltfr.backbones.base import Backbone, BackboneConfig, register_backbone
from mltfr.backbones.frequency import corner, inverse_dft, lags
from mltfr.backbones.transformer import INITIAL_STD, NORM_EPS, FeedForward, Positions, PostNorm, initialise
from mltfr.kernels.dropout import Dropout


class FMLPRecConfig(BackboneConfig):
    """Settings of FMLP-Rec; the defaults are the published ones."""

    name: Literal["fmlp-rec"] = "fmlp-rec"
    blocks: int = Field(2, ge=1)
    """Number of blocks."""
    inner: int = Field(4, ge=1)
    """Feed-forward width as a multiple of `hidden`."""


class LearnedFilter(nn.Module):
    """A learned filter of every channel: `irfft(W * rfft(x))` along the window (section "Filter Layer").

    Computed as the circular convolution that it is (section "Theoretical Analysis with Filter Layers"). `W` is
    complex, `[F, D]` with `F = L // 2 + 1`.

    Args:
        length: length of the window L.
        hidden: hidden width D.
    """

    lags: Tensor
    inverse: Tensor

    def __init__(self, length: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, length // 2 + 1, hidden) * INITIAL_STD)
        """Real and imaginary part of W, `[2, F, D]`."""
        # derived from the length, so no part of a saved state
        self.register_buffer("lags", lags(length), persistent=False)                           # [L, L]
        self.register_buffer("inverse", inverse_dft(length).flatten(1), persistent=False)  # [L, 2F]

    def forward(self, x: Tensor, last: int | None = None) -> Tensor:
        """Filter the window.

        Args:
            x: the last T positions, `[B, T, D]`, zero at padding.
            last: how many positions, from the end, to return; all if not given.

        Returns:
            `[B, last or T, D]`.
        """
        kernel = self.inverse @ self.weight.flatten(0, 1)                     # [L, D]
        matrix = kernel[corner(self.lags, x.shape[1], last)]                # [R, T, D], R readers
        if len(matrix) == 1:  # a sum is faster than a matrix product for every channel
            return (x * matrix[0]).sum(1, keepdim=True)
        filtered = x.permute(2, 0, 1) @ matrix.permute(2, 1, 0)               # [D, B, R]
        return filtered.permute(1, 2, 0)


class FMLPRecBlock(nn.Module):
    """The filter, then a feed-forward net: `y = LayerNorm(x + dropout(filter(x)))`, and the same with the net.

    Args:
        length: length of the window L.
        hidden: hidden width D.
        inner: width inside the feed-forward net, as a multiple of `hidden`.
        dropout: dropout on what each sublayer adds.
    """

    def __init__(self, length: int, hidden: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.filter = PostNorm(LearnedFilter(length, hidden), hidden, dropout)
        self.feed_forward = PostNorm(FeedForward(hidden, inner * hidden, "gelu"), hidden, dropout)

    def forward(self, x: Tensor, mask: Tensor, last: int | None = None) -> Tensor:
        """Return the block's output `[B, last or T, D]` for `x` `[B, T, D]` and `mask` `[B, T]`."""
        x = x * mask.unsqueeze(-1)  # the block before left something at padding
        return self.feed_forward(self.filter(x, last))


@register_backbone("fmlp-rec", FMLPRecConfig)
class FMLPRec(Backbone):
    """Learned filters over the whole window instead of attention; trained on the last position of prefixes."""

    is_causal = False

    def __init__(self, config: FMLPRecConfig) -> None:
        super().__init__(config)
        self.positions = Positions(config.max_length, config.hidden)
        self.input_norm = nn.LayerNorm(config.hidden, eps=NORM_EPS)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            FMLPRecBlock(config.max_length, config.hidden, config.inner, config.dropout)
            for _ in range(config.blocks)
        )
        self.apply(initialise)

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # [B, L, D], [B, L] -> [B, L, D]
        """Add positions, normalise, drop out; the context is the mask."""
        x = self.dropout(self.input_norm(self.positions(items)))  # [B, L, D]
        return x * mask.unsqueeze(-1), mask

    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return the last block's output, which is normalised already."""
        return x
