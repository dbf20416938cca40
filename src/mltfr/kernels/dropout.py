"""Dropout whose random numbers cost little on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import dropout

_LEVELS = 1 << 16
_BITS_USED = 31
"""Elements that a word of 32 bits decides about: as many of its bits a shift to the left brings to that of `_TWO`."""
_TWO = 0x40000000
"""The bits of the float32 number 2; as it is a single bit, any word has the number 2 or zero left under it."""
_LARGE = 1 << 17
"""Elements from which on memory counts for more than the second making of the scales."""


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) that draws one random bit per element at 0.5, else 16, on a CPU.

    torch draws one double per element there, one element at a time, which takes longer than the matrix products of
    a small model. A probability of 0.5 takes 1 / 10 of that time, any other 1 / 4; it is rounded to a multiple of
    1 / 65,536, and the scale is that of the rounded one.

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
        if 2 * self.kept != _LEVELS:
            return x * _thresholds(x, self.kept)
        words = _random_bits(-(-x.numel() // (2 * _BITS_USED))).view(torch.int32)
        if x.numel() < _LARGE:
            return x * _coins(words, x)
        return _LargeDropout.apply(x, words)  # type: ignore[no-untyped-call]

    def extra_repr(self) -> str:
        """Show the probability when the module is printed."""
        return f"probability={self.probability}"


class _LargeDropout(torch.autograd.Function):
    """Keeps the random words for the backward pass: 1 / 32 of the memory of what they are made into."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, words: Tensor) -> Tensor:
        ctx.save_for_backward(words)
        return x * _coins(words, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (words,) = ctx.saved_tensors
        return gradient * _coins(words, gradient), None


def _coins(words: Tensor, like: Tensor) -> Tensor:
    """Return zeros and twos, one for each of 31 bits of every int32 word, in the shape and type of `like`."""
    shift = torch.arange(_BITS_USED, dtype=torch.int32).unsqueeze(1)
    twos = torch.bitwise_left_shift(words, shift).bitwise_and_(_TWO).view(torch.float32)
    return twos.flatten()[: like.numel()].view(like.shape).to(like.dtype)


def _thresholds(like: Tensor, kept: int) -> Tensor:
    """Return zeros and, with probability `kept / 65,536`, its inverse, in the shape and type of `like`."""
    bits = _random_bits((like.numel() + 3) // 4).view(torch.int16)[: like.numel()].view(like.shape)
    return (bits < kept - _LEVELS // 2).to(like.dtype).mul_(_LEVELS / kept)


def _random_bits(words: int) -> Tensor:
    """Return random words of 64 bits, int64 `[words]`, drawn with torch's global generator."""
    return torch.empty(words, dtype=torch.int64).random_(-(2**63), None)
