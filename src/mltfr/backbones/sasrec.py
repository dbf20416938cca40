"""SASRec: causal self-attention over the history (Kang & McAuley, ICDM 2018, arXiv 1808.09781)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from mltfr.backbones.attention import attention_bias
from mltfr.backbones.base import Backbone, BackboneConfig, register_backbone
from mltfr.backbones.transformer import (
    NORM_EPS,
    Activation,
    Norm,
    Positions,
    TransformerBlock,
    check_heads,
    initialise,
)
from mltfr.kernels.dropout import Dropout


class SASRecSettings(BackboneConfig):
    """Settings of SASRec. The defaults are those that rank best; the paper's block is one setting away.

    The paper: `norm = "pre"`, `input_norm = false`, `scale_input = true`, `activation = "relu"`,
    `inner = 1`, `heads = 1`; its code also has `inner_dropout` as large as `dropout`.
    """

    blocks: int = Field(2, ge=1)
    """Number of blocks."""
    heads: int = Field(2, ge=1)
    """Attention heads; `hidden` is a multiple of it."""
    inner: int = Field(4, ge=1)
    """Feed-forward width as a multiple of `hidden`."""
    activation: Activation = "gelu"
    """Activation of the feed-forward net: gelu or relu."""
    norm: Norm = "post"
    """Where the LayerNorm stands: post (after the sum, as in BERT) or pre (before each layer)."""
    input_norm: bool = True
    """Whether the sum of item and position vectors is normalised."""
    inner_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout inside the feed-forward net, on what its activation returns."""
    scale_input: bool = False
    """Whether item vectors are multiplied by the root of `hidden` before positions are added."""

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        check_heads(self.hidden, self.heads)
        return self


class SASRecConfig(SASRecSettings):
    """Settings of SASRec under its own name; the backbones that only train it otherwise share the rest."""

    name: Literal["sasrec"] = "sasrec"


@register_backbone("sasrec", SASRecConfig)
class SASRec(Backbone):
    """Causal self-attention: each position reads itself and the items before it."""

    is_causal = True
    traced_for_all_lengths = True

    def __init__(self, config: SASRecSettings) -> None:
        super().__init__(config)
        self.scale = config.hidden**0.5 if config.scale_input else 1.0
        self.positions = Positions(config.max_length, config.hidden)
        self.input_norm = _norm(config.hidden) if config.input_norm else nn.Identity()
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                config.hidden, config.heads, config.inner, config.dropout, config.activation, config.norm,
                inner_dropout=config.inner_dropout,
            )
            for _ in range(config.blocks)
        )
        self.output_norm = _norm(config.hidden) if config.norm == "pre" else nn.Identity()
        self.apply(initialise)

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # [B, L, D], [B, L] -> [B, L, D]
        """Add positions, normalise, drop out; the context is the attention bias `[B, 1, L, L]`."""
        x = self.dropout(self.input_norm(self.positions(items * self.scale)))  # [B, L, D]
        return x * mask.unsqueeze(-1), attention_bias(mask, causal=True)

    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Normalise the output of pre-norm blocks; that of post-norm blocks is normalised already."""
        return self.output_norm(x)


def _norm(hidden: int) -> nn.LayerNorm:
    return nn.LayerNorm(hidden, eps=NORM_EPS)
