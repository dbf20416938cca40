"""Filtering along the window: what the frequency-domain backbones share.

A filter in the frequency domain, `irfft(W * rfft(x))`, is the circular convolution of `x` with `irfft(W)`
(convolution theorem; Zhou et al. 2022, arXiv 2202.13556, "Theoretical Analysis with Filter Layers"). The window
always has the full length L, with zeros where there is no item. A batch that is trimmed to its T last positions
then needs a T x T corner of the convolution's matrix only, and positions that nobody reads need no row of it.
At these sizes that is faster than a transform, and it runs in bfloat16: docs/decisions/frequency-layers.md.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def inverse_dft(length: int) -> Tensor:
    """Return the matrix that turns a one-sided spectrum into a signal, `[L, 2, F]` with `F = L // 2 + 1`.

    `x[n] = 1/L sum_k w_k (Re X[k] cos(2 pi k n / L) - Im X[k] sin(2 pi k n / L))`: the inverse DFT of a real
    signal. `w_k` is 2, since every frequency stands for its negative too, and 1 for those that are their own.

    Args:
        length: length of the window L.
    """
    frequency = torch.arange(length // 2 + 1, dtype=torch.float64)                   # [F]
    angle = 2 * math.pi / length * torch.arange(length).unsqueeze(1) * frequency     # [L, F]
    alone = (frequency == 0) | (2 * frequency == length)
    weight = torch.where(alone, 1.0, 2.0) / length                                   # [F]
    real, imaginary = weight * angle.cos(), -weight * angle.sin().masked_fill(alone, 0)
    return torch.stack([real, imaginary], dim=1).float()


def low_pass(length: int, frequencies: int) -> Tensor:
    """Return the matrix `[L, L]` that keeps the lowest frequencies of a window and drops the others.

    Args:
        length: length of the window L.
        frequencies: how many are kept, the constant one among them.
    """
    kernel = inverse_dft(length)[:, 0, :frequencies].sum(-1)                         # [L]
    return kernel[lags(length)]


def lags(length: int) -> Tensor:
    """Return how far a position (column) lies behind another (row), around the window: int64 `[L, L]`."""
    position = torch.arange(length)
    return (position.unsqueeze(1) - position) % length


def corner(matrix: Tensor, length: int, last: int | None) -> Tensor:
    """Return the part of a circular convolution's matrix for a window that is zero but at its end.

    Its entries depend on the lag alone, so the last corner equals the first.

    Args:
        matrix: `[L, L]`.
        length: positions from the end that are not zero, T.
        last: positions from the end to return, R; all T if not given.

    Returns:
        `[R, T]`.
    """
    return matrix[length - (last or length) : length, :length]
