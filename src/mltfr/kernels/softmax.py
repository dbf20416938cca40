"""Softmax over few entries, which torch computes entry by entry on a CPU.

The plain twins are the methods of `torch.Tensor`.
"""

from __future__ import annotations

from torch import Tensor

from mltfr.kernels import use_kernels

VECTORIZED_FROM = 16
"""Entries from which on torch's softmax over the last dimension is vectorised; below, that over the first is."""
SMALL_BATCH_ROWS = 64
"""Rows up to which turning them over takes longer than it saves: those of a lone request."""


def softmax(scores: Tensor) -> Tensor:  # [..., K] -> [..., K]
    """Return the softmax over the last dimension; of fewer than 16 entries on a CPU it takes a quarter of the time."""
    if not _entry_by_entry(scores):
        return scores.softmax(-1)
    return _back(_turned(scores).softmax(0), scores)


def log_softmax(scores: Tensor) -> Tensor:  # [..., K] -> [..., K]
    """Return the logarithm of the softmax over the last dimension."""
    if not _entry_by_entry(scores):
        return scores.log_softmax(-1)
    return _back(_turned(scores).log_softmax(0), scores)


def _entry_by_entry(scores: Tensor) -> bool:
    if not use_kernels(scores.device):  # asked first: a traced graph is for all shapes
        return False
    many = scores.numel() > SMALL_BATCH_ROWS * scores.shape[-1]
    return scores.shape[-1] < VECTORIZED_FROM and scores.dim() > 1 and many


def _turned(scores: Tensor) -> Tensor:  # [..., K] -> [K, R]
    return scores.flatten(0, -2).T.contiguous()


def _back(turned: Tensor, like: Tensor) -> Tensor:  # [K, R] -> [..., K]
    return turned.T.contiguous().view(like.shape)
