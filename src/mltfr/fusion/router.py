"""The router: how much each expert counts at a position."""

from __future__ import annotations

from torch import Tensor, nn

from mltfr.fusion.initial import zero
from mltfr.softmax import softmax

DEAD_BELOW = 0.01


class Router(nn.Module):
    """One softmax over the experts; all count the same at the start.

    Args:
        hidden: width D.
        experts: number of experts N.
    """

    def __init__(self, hidden: int, experts: int) -> None:
        super().__init__()
        self.gate = zero(nn.Linear(hidden, experts))

    def forward(self, x: Tensor) -> Tensor:  # [P, D] -> [P, N]
        """Return the weights; they sum to 1 at every position."""
        return softmax(self.gate(x))


class MeanRouter(nn.Module):
    """No router: all experts count the same everywhere. It has no parameters.

    Args:
        hidden: width D.
        experts: number of experts N.
    """

    def __init__(self, hidden: int, experts: int) -> None:
        super().__init__()
        self.experts = experts

    def forward(self, x: Tensor) -> Tensor:  # [P, D] -> [P, N]
        """Return `1 / N` for every expert."""
        return x.new_full((len(x), self.experts), 1 / self.experts)


ROUTERS = {"learned": Router, "mean": MeanRouter}


def shares(weights: Tensor, mask: Tensor) -> Tensor:  # [P, N], [P] -> [N]
    """Return every expert's mean weight over the observed positions."""
    observed = mask.unsqueeze(-1).to(weights.dtype)                             # [P, 1]
    return (weights * observed).sum(0) / observed.sum().clamp(min=1)


def entropy(weights: Tensor, mask: Tensor) -> Tensor:  # [P, N], [P] -> []
    """Return the mean entropy of the weights over the observed positions, in nats."""
    observed = mask.to(weights.dtype)                                           # [P]
    each = -(weights * weights.clamp(min=1e-12).log()).sum(-1)                  # [P]
    return (each * observed).sum() / observed.sum().clamp(min=1)
