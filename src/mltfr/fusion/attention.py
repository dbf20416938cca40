"""Cross-attention of the positions on rows that are the same for everybody."""

from __future__ import annotations

from torch import Tensor, nn

from mltfr.errors import ConfigError
from mltfr.fusion.init import variance_preserving, zero
from mltfr.kernels.dropout import Dropout


class CrossAttention(nn.Module):
    """Multi-head attention of every position on all of S rows.

    The key has no bias, which would cancel in the softmax. The output starts at zero, so that a fresh
    fusion changes nothing.

    Args:
        hidden: width D.
        width: width W of the rows.
        heads: number of heads H, a divisor of D.
        dropout: dropout on the attention and on the output.

    Raises:
        ConfigError: `heads` does not divide `hidden`.
    """

    def __init__(self, hidden: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        check_heads(heads, hidden)
        self.query = variance_preserving(nn.Linear(hidden, hidden))
        self.key = variance_preserving(nn.Linear(width, hidden, bias=False))
        self.value = variance_preserving(nn.Linear(width, hidden))
        self.output = zero(nn.Linear(hidden, hidden))
        self.dropout = Dropout(dropout)
        self.heads = heads

    def forward(self, x: Tensor, rows: Tensor) -> Tensor:  # [P, D], [S, W] -> [P, D]
        """Return what every position reads from the rows."""
        query = self._by_head(self.query(x))                                    # [H, P, d]
        key = self._by_head(self.key(rows)) * (self.heads / x.shape[-1]) ** 0.5     # [H, S, d]
        value = self._by_head(self.value(rows))                                 # [H, S, d]
        weights = self.dropout((query @ key.mT).softmax(-1))                    # [H, P, S]
        read = (weights @ value).transpose(0, 1).flatten(1)                     # [P, D]
        return self.dropout(self.output(read))

    def _by_head(self, rows: Tensor) -> Tensor:  # [S, D] -> [H, S, d]
        return rows.view(-1, self.heads, rows.shape[-1] // self.heads).transpose(0, 1)


def check_heads(heads: int, hidden: int) -> None:
    """Check that a number of heads divides the hidden width.

    Raises:
        ConfigError: it does not.
    """
    if hidden % heads:
        raise ConfigError(
            f"fusion.heads is {heads}, not a divisor of backbone.hidden, which is {hidden}. "
            "Set fusion.heads to a divisor."
        )
