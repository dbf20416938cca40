"""HSTU: hierarchical sequential transduction units (Zhai et al., ICML 2024, arXiv 2402.17152)."""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

from mltfr.backbones.base import Backbone, BackboneConfig, register_backbone
from mltfr.backbones.transformer import INITIAL_STD, NORM_EPS, Positions, check_heads
from mltfr.kernels.dropout import Dropout

UNIT_EPS = 1e-6
"""Added to the variance by the norms inside a unit, as in the authors' code."""
LATER = -1e30
"""Added to the score of a later position: silu makes exactly 0 of it, while minus infinity would give NaN."""


class HSTUConfig(BackboneConfig):
    """Settings of HSTU. Every configuration that its authors publish has `similarity = "cosine"`."""

    name: Literal["hstu"] = "hstu"
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout on the input and before each unit's output layer."""
    blocks: int = Field(2, ge=1)
    """Number of units."""
    heads: int = Field(2, ge=1)
    """Attention heads; `hidden` is a multiple of it."""

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        check_heads(self.hidden, self.heads)
        return self


class TransductionUnit(nn.Module):
    """One unit (section 3, equations 1 to 3), with N = `max_length` and `b` a learned bias of every distance.

        U, V, Q, K = silu(f₁(norm(x)))
        A_ij       = silu(Q_i · K_j + b_{i-j}) / N    for j <= i, else 0
        out        = x + f₂(dropout(norm(A V) ⊙ U))

    The weights of a row do not add up to one: they say how much there is, not only how it is shared out. N is a
    constant, as in the authors' code, where it is the longest history and output together (61 for a history of 50); a
    norm follows, so that it matters through the norm's epsilon alone. The paper's bias of time differences is left
    out, since a backbone sees no timestamps. The norms inside have no parameters, and `f₁` has no bias, as in the
    authors' code.

    Args:
        hidden: hidden width D, a multiple of `heads`.
        heads: number of heads H.
        max_length: longest history N.
        dropout: dropout before the output layer.
    """

    def __init__(self, hidden: int, heads: int, max_length: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.max_length = max_length
        self.gate_query = nn.Linear(hidden, 2 * hidden, bias=False)
        self.value_key = nn.Linear(hidden, 2 * hidden, bias=False)
        self.distance_bias = nn.Parameter(torch.empty(max_length))
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(hidden, hidden)
        for weight in (self.gate_query.weight, self.value_key.weight, self.distance_bias):
            nn.init.normal_(weight, std=INITIAL_STD)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor, mask: Tensor, last: int | None = None) -> Tensor:
        """Let every position read itself and what comes before.

        Args:
            x: `[B, L, D]`.
            mask: float `[B, L, 1]`, 0 at padding.
            last: how many positions, from the end, read; all if not given.

        Returns:
            `[B, last or L, D]`.
        """
        size, length, hidden = x.shape
        readers = length if last is None else last
        by_head = (size, -1, self.heads, hidden // self.heads)
        normal = layer_norm(x, (hidden,), eps=UNIT_EPS)
        value, key = silu(self.value_key(normal)).chunk(2, dim=-1)                # 2 x [B, L, D]
        gate, query = silu(self.gate_query(normal[:, -readers:])).chunk(2, dim=-1)  # 2 x [B, T, D]
        value = (value * (mask / self.max_length)).view(by_head).transpose(1, 2)  # [B, H, L, D/H]
        key = key.view(by_head).permute(0, 2, 3, 1)                               # [B, H, D/H, L]
        scores = query.view(by_head).transpose(1, 2) @ key                        # [B, H, T, L]
        weights = silu(scores + self.bias(length)[-readers:])
        mixed = (weights @ value).transpose(1, 2).reshape(size, readers, hidden)  # [B, T, D]
        mixed = layer_norm(mixed, (hidden,), eps=UNIT_EPS) * gate
        return x[:, -readers:] + self.output(self.dropout(mixed))

    def bias(self, length: int) -> Tensor:
        """Return what is added to the scores of readers (rows) and what they read (columns), `[L, L]`."""
        place = torch.arange(length, device=self.distance_bias.device)
        distance = place.unsqueeze(1) - place                                     # [L, L]
        return self.distance_bias[distance.clamp_min(0)].masked_fill(distance < 0, LATER)


@register_backbone("hstu", HSTUConfig)
class HSTU(Backbone):
    """A stack of transduction units: pointwise, gated, causal attention."""

    is_causal = True
    traced_for_all_lengths = True

    def __init__(self, config: HSTUConfig) -> None:
        super().__init__(config)
        hidden = config.hidden
        self.scale = hidden**0.5
        self.positions = Positions(config.max_length, hidden)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            TransductionUnit(hidden, config.heads, config.max_length, config.dropout) for _ in range(config.blocks)
        )
        self.output_norm = nn.LayerNorm(hidden, eps=NORM_EPS) if config.similarity == "dot" else nn.Identity()
        nn.init.trunc_normal_(self.positions.vectors, std=hidden**-0.5)

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # [B, L, D], [B, L] -> [B, L, D]
        """Scale, add positions, drop out; the context is the mask `[B, L, 1]` as numbers."""
        shown = mask.unsqueeze(-1).to(items.dtype)  # [B, L, 1]
        return self.dropout(self.positions(items * self.scale)) * shown, shown

    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Normalise, in one of the authors' two ways: by a LayerNorm, or by the norm that makes scores cosines."""
        normal: Tensor = self.output_norm(x)
        return normal
