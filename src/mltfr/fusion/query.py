"""The query of the token filter: what a position knows of the history."""

from __future__ import annotations

import torch
from torch import Tensor


def history_mean(x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, 1, D]
    """Return the mean over the observed positions, for backbones whose positions see all others."""
    weight = mask.unsqueeze(-1).to(x.dtype)                                     # [B, L, 1]
    return (x * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)


def prefix_mean(x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
    """Return at every position the mean over the observed positions up to it, itself included."""
    weight = mask.unsqueeze(-1).to(x.dtype)                                     # [B, L, 1]
    return (x * weight).cumsum(1) / weight.cumsum(1).clamp(min=1)


def prefix_decay(x: Tensor, mask: Tensor, decay: float) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
    """Return at every position the mean over the prefix, a position `s` steps back counting `decay**s`."""
    position = torch.arange(x.shape[1], device=x.device)                        # [L]
    steps = position.unsqueeze(1) - position                                    # [L, L]
    weight = torch.where(steps >= 0, decay ** steps.clamp(min=0).to(x.dtype), 0.0)  # [L, L]
    observed = mask.unsqueeze(-1).to(x.dtype)                                   # [B, L, 1]
    total = weight @ observed                                                   # [B, L, 1]
    return (weight @ (x * observed)) / torch.where(total > 0, total, 1.0)
