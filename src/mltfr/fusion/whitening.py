"""Whitening: item vectors without a mean, whose components are uncorrelated and of unit variance."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

SMALLEST = 1e-6
"""Variances below this share of the largest are noise of the arithmetic, and become zero."""


def whiten(vectors: Tensor, there: Tensor, kind: Literal["zca", "pca"]) -> Tensor:  # [I, W], [I] -> [I, W]
    """Return `(v - mean) U S^(-1/2)`, for ZCA times `U^T`, where `U S U^T` is the covariance.

    So WhitenRec (Zhang et al. 2024, arXiv 2402.10602) treats the vectors of texts before it projects them. Where
    there are fewer items than components, the directions without variance are zero afterwards.

    Args:
        vectors: item vectors.
        there: bool, the rows that count; the others are zero afterwards.
        kind: `pca` turns the vectors onto the principal axes, `zca` leaves them as close as possible to what they were.
    """
    if not there.any():
        return torch.zeros_like(vectors)
    rows = vectors[there].double()                                              # [i, W]
    centred = rows - rows.mean(0)
    variance, axes = torch.linalg.eigh(centred.T @ centred / len(rows))         # [W], [W, W]
    kept = variance > SMALLEST * variance.max().clamp(min=torch.finfo(torch.float64).tiny)
    turn = axes * torch.where(kept, variance, torch.inf).rsqrt()                # [W, W]
    result = torch.zeros_like(vectors)
    result[there] = (centred @ (turn @ axes.T if kind == "zca" else turn)).to(vectors.dtype)
    return result


def map_onto(vectors: Tensor, before: Tensor, known: Tensor, affine: bool) -> Tensor:  # [I, W], [I', W], [I'] -> [I, W]
    """Return vectors where the first of them lay before: by the linear map, or the factor, that brings these there.

    The map is that of least squares; it is zero along what these do not vary in.

    Args:
        vectors: item vectors.
        before: what the first I' of them were.
        known: bool, those of these by which to go.
        affine: whether they were turned and moved; otherwise they were multiplied by a number.
    """
    now, then = vectors[: len(before)][known].double(), before[known].double()  # [i, W] each
    if not len(now):
        return vectors
    if not affine:
        return (vectors * ((now * then).sum() / now.square().sum().clamp(min=1e-30))).to(vectors.dtype)
    centre, centre_then = now.mean(0), then.mean(0)                             # [W] each
    centred = now - centre
    turn = torch.linalg.pinv(centred.T @ centred, rtol=SMALLEST, hermitian=True) @ (centred.T @ (then - centre_then))
    return ((vectors.double() - centre) @ turn + centre_then).to(vectors.dtype)
