"""LiGR: transformer layers with a learned gate on every residual (Borisyuk et al. 2025, arXiv 2502.03417).

With shifted sequences and a sampled softmax they are eSASRec (Tikhonovich et al., RecSys 2025, arXiv 2508.06450).
"""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import silu

from mltfr.backbones.attention import SelfAttention, attention_bias
from mltfr.backbones.base import Backbone, BackboneConfig, register_backbone
from mltfr.backbones.transformer import Positions, PostNorm, check_heads, initialise
from mltfr.kernels.dropout import Dropout


class LiGRConfig(BackboneConfig):
    """Settings of the LiGR layers, as eSASRec uses them."""

    name: Literal["ligr"] = "ligr"
    blocks: int = Field(2, ge=1)
    """Number of blocks."""
    heads: int = Field(2, ge=1)
    """Attention heads; `hidden` is a multiple of it."""
    inner: int = Field(4, ge=1)
    """Width inside the SwiGLU feed-forward net, as a multiple of `hidden`."""
    initial: Literal["normal", "xavier"] = "normal"
    """How all matrices start, item and position vectors among them: normal with a standard deviation of 0.02, as in
    BERT, or Xavier normal (Glorot & Bengio 2010), as in eSASRec's code."""

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        check_heads(self.hidden, self.heads)
        return self


class SwiGLU(nn.Module):
    """`W₂ dropout(silu(W₁ x) ⊙ W₃ x)` for each position on its own, without biases.

    Source: Shazeer 2020, arXiv 2002.05202, equation 6.

    Args:
        hidden: hidden width D.
        inner: width between the layers.
        dropout: dropout on what the gate lets through.
    """

    def __init__(self, hidden: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.gate_value = nn.Linear(hidden, 2 * inner, bias=False)               # W₁ and W₃
        self.output = nn.Linear(inner, hidden, bias=False)                       # W₂
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:  # [B, L, D] -> [B, L, D]
        """Apply it."""
        gate, value = self.gate_value(x).chunk(2, dim=-1)                        # 2 x [B, L, inner]
        return self.output(self.dropout(silu(gate) * value))


class GatedResidual(PostNorm):
    """`x + dropout(sublayer(LayerNorm(x))) ⊙ σ(W x + b)`: the input decides how much of the change it takes."""

    def __init__(self, sublayer: nn.Module, hidden: int, dropout: float) -> None:
        super().__init__(sublayer, hidden, dropout)
        self.gate = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, *context: Any) -> Tensor:  # [B, L, D] -> [B, L, D]
        """Normalise, apply the sublayer, add what the gate lets through to the input."""
        changed: Tensor = self.dropout(self.sublayer(self.norm(x), *context))
        x = x[:, -changed.shape[1] :]
        return x + changed * self.gate(x).sigmoid()


class LiGRBlock(nn.Module):
    """Self-attention, then SwiGLU, each behind a gated residual.

    Args:
        config: settings of LiGR.
    """

    def __init__(self, config: LiGRConfig) -> None:
        super().__init__()
        hidden, dropout = config.hidden, config.dropout
        self.attention = GatedResidual(SelfAttention(hidden, config.heads, dropout), hidden, dropout)
        self.feed_forward = GatedResidual(SwiGLU(hidden, config.inner * hidden, dropout), hidden, dropout)

    def forward(self, x: Tensor, bias: Tensor, last: int | None = None) -> Tensor:  # [B, L, D] -> [B, T, D]
        """Run the block, for the last positions only if a number of them is given."""
        return self.feed_forward(self.attention(x, bias, last))


@register_backbone("ligr", LiGRConfig)
class LiGR(Backbone):
    """Causal self-attention with gated residuals; as published, nothing is normalised after the last block."""

    is_causal = True
    traced_for_all_lengths = True

    def __init__(self, config: LiGRConfig) -> None:
        super().__init__(config)
        self.positions = Positions(config.max_length, config.hidden)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(LiGRBlock(config) for _ in range(config.blocks))
        self.xavier = config.initial == "xavier"
        self.apply(initialise)
        if self.xavier:
            self._draw_xavier()

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # [B, L, D], [B, L] -> [B, L, D]
        """Add positions, drop out; the context is the attention bias `[B, 1, L, L]`."""
        return self.dropout(self.positions(items)) * mask.unsqueeze(-1), attention_bias(mask, causal=True)

    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return the last block's output."""
        return x

    def reset_item_embedding(self, weight: Tensor) -> None:
        """Initialise the item vectors `[rows, D]` in place, as all other matrices."""
        if self.xavier:
            nn.init.xavier_normal_(weight)
        else:
            super().reset_item_embedding(weight)

    @torch.no_grad()
    def _draw_xavier(self) -> None:
        """Draw every matrix from N(0, 2 / (rows + columns)); W₁ and W₃ are two, Q, K and V one, as published."""
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                for matrix in weight.chunk(2) if name.endswith("gate_value.weight") else (weight,):
                    nn.init.xavier_normal_(matrix)
