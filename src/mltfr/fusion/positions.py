"""The positions of a batch that a correction is computed for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Positions:
    """Positions of a batch, one after the other.

    Args:
        shape: B and L.
        device: device of what is taken.
        by_hand: whether what is computed at them may take forms that are fast on a CPU and that `torch.func`
            cannot transform.
        wanted: bool `[B, L]`, the positions that count; all if not given.
    """

    def __init__(
        self, shape: Sequence[int], device: torch.device, by_hand: bool, wanted: Tensor | None = None
    ) -> None:
        self.shape = torch.Size(shape)
        self.by_hand = by_hand
        numbers = torch.arange(self.shape.numel(), device=device)               # [B * L]
        self.numbers = numbers if wanted is None else numbers[wanted.flatten()]
        """Int64 `[P]`, ascending."""
        self.users = self.numbers // shape[1]
        """Whose they are, int64 `[P]`."""
        self._all = len(self.numbers) == len(numbers)

    def take(self, x: Tensor) -> Tensor:  # [B, L, ...] -> [P, ...]
        """Return what stands at the positions."""
        return x.flatten(0, 1) if self._all else x.flatten(0, 1).index_select(0, self.numbers)

    def put(self, values: Tensor) -> Tensor:  # [P, ...] -> [B, L, ...]
        """Return a batch with the values at the positions, and zeros elsewhere."""
        if not self._all:
            zeros = values.new_zeros(self.shape.numel(), *values.shape[1:])
            values = zeros.index_copy(0, self.numbers, values)
        return values.view(*self.shape, *values.shape[1:])


def positions_that_count(x: Tensor, mask: Tensor, is_causal: bool) -> Positions:  # [B, L, D], [B, L]
    """Return where `delta` is wanted: on a CPU not at padding; elsewhere everywhere, since counting would wait.

    Args:
        x: the stack's input, zero at padding.
        mask: True at observed items.
        is_causal: whether the backbone has no mask tokens, where `delta` is wanted though nothing is observed.
    """
    if x.device.type != "cpu":
        return Positions(mask.shape, x.device, by_hand=False)
    wanted = mask if is_causal else mask | (x != 0).any(-1)
    return Positions(mask.shape, x.device, by_hand=True, wanted=wanted)
