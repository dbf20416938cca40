"""BERT4Rec: bidirectional self-attention over masked histories (Sun et al., CIKM 2019, arXiv 1904.06690)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from mltfr.backbones.attention import attention_bias
from mltfr.backbones.base import Backbone, BackboneConfig, register_backbone
from mltfr.backbones.transformer import NORM_EPS, Positions, TransformerBlock, check_heads, initialise
from mltfr.kernels.dropout import Dropout


class BERT4RecConfig(BackboneConfig):
    """Settings of BERT4Rec."""

    name: Literal["bert4rec"] = "bert4rec"
    max_length: int = Field(50, ge=2)
    """Most recent positions that are read (L), the mask token's among them."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Dropout on the input and on what each sublayer adds."""
    attention_dropout: float | None = Field(None, ge=0, lt=1)
    """Dropout on the attention weights; that of `dropout` if not given."""
    blocks: int = Field(2, ge=1)
    """Number of blocks."""
    heads: int = Field(2, ge=1)
    """Attention heads; `hidden` is a multiple of it."""
    inner: int = Field(4, ge=1)
    """Feed-forward width as a multiple of `hidden`."""

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        check_heads(self.hidden, self.heads)
        return self


@register_backbone("bert4rec", BERT4RecConfig)
class BERT4Rec(Backbone):
    """Bidirectional self-attention, trained to fill in masked items and read at an appended mask."""

    is_causal = False
    uses_mask_token = True
    traced_for_all_lengths = True
    uses_item_bias = True

    def __init__(self, config: BERT4RecConfig) -> None:
        super().__init__(config)
        hidden = config.hidden
        self.positions = Positions(config.max_length, hidden)
        self.input_norm = nn.LayerNorm(hidden, eps=NORM_EPS)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                hidden, config.heads, config.inner, config.dropout, attention_dropout=config.attention_dropout
            )
            for _ in range(config.blocks)
        )
        self.output = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden, eps=NORM_EPS))
        self.apply(initialise)

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # [B, L, D], [B, L] -> [B, L, D]
        """Add positions, normalise, drop out; the context is the attention bias `[B, 1, L, L]`."""
        x = self.dropout(self.input_norm(self.positions(items)))  # [B, L, D]
        return x * mask.unsqueeze(-1), attention_bias(mask, causal=False)

    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Project as equation 7 of the paper does, with the LayerNorm of its published code."""
        return self.output(x)
