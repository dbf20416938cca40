"""What the transformer backbones are made of: positions, feed-forward nets, residual blocks."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from mltfr.backbones.attention import SelfAttention
from mltfr.kernels.dropout import Dropout

NORM_EPS = 1e-12
"""Added to the variance by every LayerNorm, as in BERT."""
INITIAL_STD = 0.02
"""Standard deviation of all initial weights, as in BERT."""

Activation = Literal["gelu", "relu"]
Norm = Literal["post", "pre"]
_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


class Positions(nn.Module):
    """Learned position vectors, counted from the end: the last one belongs to the last item.

    Args:
        max_length: longest history.
        hidden: hidden width D.
    """

    def __init__(self, max_length: int, hidden: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(max_length, hidden) * INITIAL_STD)

    def forward(self, items: Tensor) -> Tensor:  # [B, L, D] -> [B, L, D]
        """Add its position's vector to every item; padding in front does not move the others."""
        return items + self.vectors[len(self.vectors) - items.shape[-2] :]


class FeedForward(nn.Sequential):
    """Two linear layers with an activation between them, for each position on its own.

    Args:
        hidden: hidden width D.
        inner: width between the layers.
        activation: "gelu" or "relu".
        dropout: dropout between the layers, on what the activation returns.
    """

    def __init__(self, hidden: int, inner: int, activation: Activation, dropout: float = 0.0) -> None:
        active = nn.Sequential(_ACTIVATIONS[activation](), Dropout(dropout))
        super().__init__(nn.Linear(hidden, inner), active, nn.Linear(inner, hidden))


class PostNorm(nn.Module):
    """`LayerNorm(x + dropout(sublayer(x)))`, as in BERT."""

    def __init__(self, sublayer: nn.Module, hidden: int, dropout: float) -> None:
        super().__init__()
        self.sublayer = sublayer
        self.norm = nn.LayerNorm(hidden, eps=NORM_EPS)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, *context: Any) -> Tensor:  # [B, L, D] -> [B, L, D]
        """Apply the sublayer, add its input, normalise; a sublayer may return the last positions only."""
        changed: Tensor = self.dropout(self.sublayer(x, *context))
        return self.norm(x[:, -changed.shape[1] :] + changed)


class PreNorm(PostNorm):
    """`x + dropout(sublayer(LayerNorm(x)))`, as in SASRec (Kang & McAuley 2018, section III-B)."""

    def forward(self, x: Tensor, *context: Any) -> Tensor:  # [B, L, D] -> [B, L, D]
        """Normalise, apply the sublayer, add its input."""
        changed: Tensor = self.dropout(self.sublayer(self.norm(x), *context))
        return x[:, -changed.shape[1] :] + changed


_RESIDUALS: dict[Norm, type[PostNorm]] = {"post": PostNorm, "pre": PreNorm}


class TransformerBlock(nn.Module):
    """Self-attention, then a feed-forward net, each with a residual connection and a LayerNorm.

    Args:
        hidden: hidden width D.
        heads: attention heads.
        inner: width inside the feed-forward net, as a multiple of `hidden`.
        dropout: dropout on what each sublayer adds.
        activation: "gelu" or "relu".
        norm: where the LayerNorm stands: "post" the sum, or "pre" the sublayer.
        attention_dropout: dropout on the attention weights; `dropout` if not given.
        inner_dropout: dropout inside the feed-forward net.
    """

    def __init__(
        self,
        hidden: int,
        heads: int,
        inner: int,
        dropout: float,
        activation: Activation = "gelu",
        norm: Norm = "post",
        *,
        attention_dropout: float | None = None,
        inner_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        residual, on_weights = _RESIDUALS[norm], dropout if attention_dropout is None else attention_dropout
        self.attention = residual(SelfAttention(hidden, heads, on_weights), hidden, dropout)
        net = FeedForward(hidden, inner * hidden, activation, inner_dropout)
        self.feed_forward = residual(net, hidden, dropout)

    def forward(self, x: Tensor, bias: Tensor, last: int | None = None) -> Tensor:
        """Run the block.

        Args:
            x: `[B, L, D]`.
            bias: what `attention_bias` returns, `[B, 1, L, L]`.
            last: how many positions, from the end, to return; all if not given.

        Returns:
            `[B, last or L, D]`.
        """
        return self.feed_forward(self.attention(x, bias, last))


def initialise(module: nn.Module) -> None:
    """Draw the weights of a linear layer from N(0, 0.02²) and zero its bias, if any; for `nn.Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def check_heads(hidden: int, heads: int) -> None:
    """Check that the heads share the hidden width evenly.

    Raises:
        ValueError: `heads` does not divide `hidden`.
    """
    if hidden % heads:
        raise ValueError(f"hidden is {hidden} and heads is {heads}; hidden has to be a multiple of heads.")
