"""Running averages of what is worth logging."""

from __future__ import annotations

import torch
from torch import Tensor

EVERY = 8


class Averages:
    """Averages of tensors since the last call of `read`, kept on their device: no step waits for them."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._asked: dict[str, int] = {}

    def due(self, name: str) -> bool:
        """Return whether values are to be added at this step: the first since `read`, and then every eighth.

        Never while a CUDA graph is captured, whose replays would add to sums that have been read long ago.
        """
        if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():  # type: ignore[no-untyped-call]
            return False
        asked = self._asked[name] = self._asked.get(name, 0) + 1
        return asked % EVERY == 1

    def add(self, name: str, value: Tensor) -> None:
        """Add one value; all values of a name have one shape."""
        value = value.detach()
        total, count = self._sums.get(name, (value.new_zeros(()), 0))
        self._sums[name] = (total + value, count + 1)

    def read(self) -> dict[str, list[float]]:
        """Return the averages, each as a list of its elements, and start again."""
        averages = {name: (total / count).flatten().tolist() for name, (total, count) in self._sums.items()}
        self._sums, self._asked = {}, {}
        return averages


def mean_shares(weights: Tensor, observed: Tensor) -> Tensor:  # [P, N], [P] -> [N]
    """Return every expert's mean weight over the observed positions."""
    observed = observed.unsqueeze(-1).to(weights.dtype)                         # [P, 1]
    return (weights * observed).sum(0) / observed.sum().clamp(min=1)


def mean_entropy(weights: Tensor, observed: Tensor) -> Tensor:  # [P, N], [P] -> []
    """Return the mean entropy of the weights over the observed positions, in nats."""
    observed = observed.to(weights.dtype)                                       # [P]
    each = -(weights * weights.clamp(min=1e-12).log()).sum(-1)                  # [P]
    return (each * observed).sum() / observed.sum().clamp(min=1)
