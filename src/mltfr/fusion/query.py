"""The query of the token filter: what a position knows of the history."""

from __future__ import annotations

import torch
from torch import Tensor


def history_mean(x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, 1, D]
    """Return the mean over the observed positions, for backbones whose positions see all others."""
    weight = mask.unsqueeze(-1).to(x.dtype)                                     # [B, L, 1]
    return (x * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)


def prefix_mean(x: Tensor, mask: Tensor, newest: int) -> Tensor:  # [B, L, D], [B, L] -> [B, newest, D]
    """Return at each of the newest positions the mean over the observed positions up to it, itself included."""
    weight = mask.unsqueeze(-1).to(x.dtype)                                     # [B, L, 1]
    return _prefix_sum(x * weight, newest) / _prefix_sum(weight, newest).clamp(min=1)


def _prefix_sum(x: Tensor, newest: int) -> Tensor:  # [B, L, W] -> [B, newest, W]
    """Return the sums up to each of the newest positions."""
    if newest == 1:
        return x.sum(1, keepdim=True)
    first = x.shape[1] - newest
    if first > 0:
        x = torch.cat([x[:, : first + 1].sum(1, keepdim=True), x[:, first + 1 :]], dim=1)
    return x.cumsum(1)


def prefix_decay(x: Tensor, mask: Tensor, decay: float, newest: int) -> Tensor:
    """Return at the newest positions the mean over the prefix, a position `s` steps back counting `decay**s`.

    From `[B, L, D]` and `[B, L]` to `[B, newest, D]`.
    """
    position = torch.arange(x.shape[1], device=x.device)                        # [L]
    steps = position[-newest:].unsqueeze(1) - position                          # [newest, L]
    weight = torch.where(steps >= 0, decay ** steps.clamp(min=0).to(x.dtype), 0.0)  # [newest, L]
    observed = mask.unsqueeze(-1).to(x.dtype)                                   # [B, L, 1]
    total = weight @ observed                                                   # [B, newest, 1]
    return (weight @ (x * observed)) / torch.where(total > 0, total, 1.0)
