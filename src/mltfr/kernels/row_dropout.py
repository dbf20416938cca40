"""Dropout on the rows of a table: one mask for the whole of it, made only where rows are read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16
_LANES = 4
"""Numbers of 16 bits in a word."""


def _signed(word: int) -> int:
    """Return the int64 that has the bits of an unsigned word."""
    return word - (1 << 64) if word >> 63 else word


_INCREMENT = _signed(0x9E3779B97F4A7C15)
_ROUNDS = ((30, _signed(0xBF58476D1CE4E5B9)), (27, _signed(0x94D049BB133111EB)), (31, 1))


class RowDropout(nn.Module):
    """Dropout on a table of which only some rows may be read, several times: all readers get the same mask.

    Args:
        probability: share of the elements set to zero in training, in [0, 1), rounded to a multiple of 1 / 65,536.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.kept = min(round((1 - probability) * _LEVELS), _LEVELS - 1)

    @property
    def active(self) -> bool:
        """Whether anything is dropped as things are."""
        return self.training and self.probability > 0

    def draw(self, device: torch.device) -> RowMask | None:
        """Return a new mask, which takes one number of torch's global generator; None where nothing is dropped."""
        if not self.active:
            return None
        return RowMask(torch.randint(1 << 62, (), device=device), self.kept)

    def extra_repr(self) -> str:
        """Show the probability when the module is printed."""
        return f"probability={self.probability}"


@dataclass(frozen=True)
class RowMask:
    """One mask over a table. Four elements are the lanes of `splitmix64(seed, row, word)` (Steele et al., OOPSLA 2014).

    So an element's fate follows from its place, and no mask of the table's size is ever held.

    Attributes:
        seed: int64, a scalar on the table's device.
        kept: how many of the 65,536 values of a lane keep an element.
    """

    seed: Tensor
    kept: int

    def __call__(self, rows: Tensor, vectors: Tensor) -> Tensor:  # [R], [R, D] -> [R, D]
        """Return vectors, which stand in these rows of the table, with elements dropped and the others scaled up."""
        width = vectors.shape[1]
        words = -(-width // _LANES)
        place = rows.unsqueeze(1) * words + torch.arange(words, device=rows.device)         # [R, W]
        bits = place.mul_(_INCREMENT).add_(self.seed)
        for shift, factor in _ROUNDS:
            high = bits.bitwise_right_shift(shift).bitwise_and_((1 << (64 - shift)) - 1)    # without its sign
            bits.bitwise_xor_(high).mul_(factor)
        lanes = bits.view(torch.int16)[:, :width]                                          # [R, D]
        return vectors * (lanes < self.kept - _LEVELS // 2).to(vectors.dtype).mul_(_LEVELS / self.kept)
