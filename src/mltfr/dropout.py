"""Dropout whose random numbers cost little on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

_LEVELS = 1 << 16
_PLACES = torch.arange(31, dtype=torch.int32).unsqueeze(1)
_TWO = 0x40000000
"""The bits of the float32 number 2; as it is a single bit, any word has the number 2 or zero left under it."""


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
        count = x.numel()
        scale = _coins(count) if 2 * self.kept == _LEVELS else _thresholds(count, self.kept)
        return x * scale.view(x.shape).to(x.dtype)

    def extra_repr(self) -> str:
        """Show the probability when the module is printed."""
        return f"probability={self.probability}"


def _coins(count: int) -> Tensor:
    """Return zeros and twos, equally probable: float32 `[count]`.

    Each bit of a random word is brought to the one place where it makes a 2: 31 elements of 32 bits.
    """
    words = _random_bits(-(-count // (2 * len(_PLACES)))).view(torch.int32)
    twos = torch.bitwise_left_shift(words, _PLACES).bitwise_and_(_TWO)
    return twos.view(torch.float32).flatten()[:count]


def _thresholds(count: int, kept: int) -> Tensor:
    """Return zeros and, with probability `kept / 65,536`, the inverse of it: float32 `[count]`."""
    bits = _random_bits((count + 3) // 4).view(torch.int16)[:count]
    return (bits < kept - _LEVELS // 2).float().mul_(_LEVELS / kept)


def _random_bits(words: int) -> Tensor:
    """Return random words of 64 bits, int64 `[words]`, drawn with torch's global generator."""
    return torch.empty(words, dtype=torch.int64).random_(-(2**63), None)
