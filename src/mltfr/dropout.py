"""Dropout whose random numbers cost little on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import dropout

_LEVELS = 1 << 16


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) that draws 16 random bits per element on a CPU.

    torch draws one double per element there, one element at a time, which takes longer than the matrix
    products of a small model. Comparing 16 bits with a threshold does the same at 40 % of the time; the
    probability is rounded to a multiple of 1 / 65,536, and the scale is that of the rounded one.

    Args:
        probability: share of the elements set to zero in training, in [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.kept = min(round((1 - probability) * _LEVELS), _LEVELS - 1)
        """How many of the 65,536 values of 16 bits keep an element."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with elements dropped in training, and unchanged otherwise."""
        if not self.training or self.probability == 0:
            return x
        if x.device.type != "cpu":
            return dropout(x, self.probability)
        dropped: Tensor = _BitDropout.apply(x, self.kept)  # type: ignore[no-untyped-call]
        return dropped

    def extra_repr(self) -> str:
        """Show the probability when the module is printed."""
        return f"probability={self.probability}"


class _BitDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: int) -> Tensor:
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        bits = draws.view(torch.int16)[: x.numel()].view(x.shape)
        scale = (bits < kept - _LEVELS // 2).to(x.dtype).mul_(_LEVELS / kept)
        ctx.save_for_backward(scale)
        return x * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors
        return gradient * scale, None
