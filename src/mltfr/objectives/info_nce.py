"""InfoNCE between two views of every sequence, the other sequences of the batch being the negatives."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

Similarity = Literal["dot", "cosine"]


def info_nce(first: Tensor, second: Tensor, temperature: float = 1.0, similarity: Similarity = "dot") -> Tensor:
    """Return the mean over all 2B views of `-log exp(s⁺/t) / (exp(s⁺/t) + Σ exp(s⁻/t))`, a scalar.

    `s⁺` is a view's similarity to the other view of its sequence, `s⁻` those to the 2 (B - 1) views of the other
    sequences (van den Oord et al. 2018, arXiv 1807.03748; in this form Chen et al. 2020, arXiv 2002.05709,
    equation 1). Computed in float32 at least, whatever the precision of the step.

    Args:
        first: `[B, D]`, one view of every sequence.
        second: `[B, D]`, the other view.
        temperature: t.
        similarity: inner product, or cosine.
    """
    with torch.autocast(first.device.type, enabled=False):
        states = torch.cat([first, second]).to(torch.promote_types(first.dtype, torch.float32))  # [2B, D]
        if similarity == "cosine":
            states = normalize(states, dim=1)
        scores = (states @ states.T / temperature).fill_diagonal_(float("-inf"))                 # [2B, 2B]
        partner = torch.arange(len(states), device=states.device).roll(len(first))               # [2B]
        return cross_entropy(scores, partner)
