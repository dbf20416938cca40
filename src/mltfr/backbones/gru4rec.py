"""GRU4Rec: a gated recurrent network over the history (Hidasi et al., ICLR 2016, arXiv 1511.06939)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear

from mltfr.backbones.base import Backbone, BackboneConfig, register_backbone
from mltfr.kernels.dropout import Dropout


class GRU4RecConfig(BackboneConfig):
    """Settings of GRU4Rec. Every layer is as wide as the item vectors, which are also what is compared with."""

    name: Literal["gru4rec"] = "gru4rec"
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout on the input."""
    blocks: int = Field(1, ge=1)
    """Number of GRU layers."""
    layer_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the output of every layer."""
    item_bias: bool = True
    """Whether an item's score has a learned bias of its own, as in the authors' code (By)."""


class GRULayer(nn.Module):
    """A gated recurrent unit (section 3, equations 1 to 4), its state zero before the first item.

        z_t = σ(W_z x_t + U_z h_{t-1})              update gate
        r_t = σ(W_r x_t + U_r h_{t-1})              reset gate
        c_t = tanh(W_c x_t + r_t ⊙ (U_c h_{t-1}))   candidate
        h_t = (1 - z_t) ⊙ c_t + z_t ⊙ h_{t-1}

    As in its authors' code, the W have biases, the reset gate acts on the product `U_c h` (one product a step
    for all gates), and `z` is the share that is kept, where equation 1 has the share that is replaced.

    The loop is written out: on a CPU `nn.GRU` runs the same operations and is faster by about a tenth, but
    `torch.func.vmap` cannot take per-example gradients through it, and its biases move the state at padding.

    Args:
        hidden: hidden width D.
        dropout: dropout on the output; the state that is carried on is whole.
    """

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.input = nn.Linear(hidden, 3 * hidden)                               # reset, update, candidate
        self.recurrent = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.dropout = Dropout(dropout)
        for weight in (self.input.weight, self.recurrent):                       # Glorot, gate by gate
            nn.init.uniform_(weight, -((3 / hidden) ** 0.5), (3 / hidden) ** 0.5)
        nn.init.zeros_(self.input.bias)

    def forward(self, x: Tensor, mask: Tensor, last: int | None = None) -> Tensor:
        """Run through the history.

        Args:
            x: `[B, L, D]`.
            mask: float `[B, L, 1]`, 0 at padding.
            last: how many positions, from the end, to return; all if not given.

        Returns:
            `[B, last or L, D]`.
        """
        hidden = x.shape[-1]
        gates = (self.input(x) * mask).transpose(0, 1)                           # [L, B, 3D]
        state = torch.zeros_like(x[:, 0])                                        # [B, D]
        states = []
        for gate in gates.unbind(0):                                             # zero gates leave a zero state zero
            carried = linear(state, self.recurrent)                              # [B, 3D]
            reset, update = (gate[:, : 2 * hidden] + carried[:, : 2 * hidden]).sigmoid().chunk(2, dim=-1)
            candidate = torch.addcmul(gate[:, 2 * hidden :], reset, carried[:, 2 * hidden :]).tanh()
            state = torch.lerp(candidate, state, update)
            states.append(state)
        returned = states if last is None else states[-last:]
        return self.dropout(torch.stack(returned, dim=1))                  # [B, T, D]


@register_backbone("gru4rec", GRU4RecConfig)
class GRU4Rec(Backbone):
    """A stack of gated recurrent layers: a position has read the items up to its own.

    Item vectors are shared between input and scores, the constrained embeddings of Hidasi & Karatzoglou
    (CIKM 2018, arXiv 1706.03847).
    """

    is_causal = True

    def __init__(self, config: GRU4RecConfig) -> None:
        super().__init__(config)
        self.uses_item_bias = config.item_bias
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(GRULayer(config.hidden, config.layer_dropout) for _ in range(config.blocks))

    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # [B, L, D], [B, L] -> [B, L, D]
        """Drop out; the context is the mask `[B, L, 1]` as numbers."""
        shown = mask.unsqueeze(-1).to(items.dtype)  # [B, L, 1]
        return self.dropout(items) * shown, shown

    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return the states, which have the width of the item vectors already."""
        return x

    def reset_item_embedding(self, weight: Tensor) -> None:
        """Draw the item vectors `[rows, D]` as the authors' code does (Glorot)."""
        nn.init.xavier_uniform_(weight)
