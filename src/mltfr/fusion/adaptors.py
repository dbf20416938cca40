"""How an item vector becomes a correction: a linear map, an MLP, or a mixture of whitening experts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mltfr.fusion.init import variance_preserving, zero
from mltfr.kernels.dropout import Dropout

SMALLEST_NOISE = 1e-2


class LinearAdaptor(nn.Module):
    """One Linear, which starts at zero.

    Args:
        width: width W of the item vectors.
        hidden: width D.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.output = zero(nn.Linear(width, hidden))

    def forward(self, vectors: Tensor) -> Tensor:  # [P, W] -> [P, D]
        """Return the correction."""
        return self.output(vectors)


class MlpAdaptor(nn.Module):
    """Two layers with ReLU between them, as WhitenRec (Zhang et al. 2024) projects whitened vectors.

    Args:
        width: width W of the item vectors.
        hidden: width D, also of the layer between.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner = variance_preserving(nn.Linear(width, hidden))
        self.output = zero(nn.Linear(hidden, hidden))

    def forward(self, vectors: Tensor) -> Tensor:  # [P, W] -> [P, D]
        """Return the correction."""
        return self.output(functional.relu(self.inner(vectors)))


class MoeAdaptor(nn.Module):
    """Mixture of parametric whitening experts (UniSRec, Hou et al. KDD 2022, arXiv 2206.05941, eq. 1 to 4).

    Expert k gives `(v - b_k) W_k`; the gate weighs the experts by `softmax(v W_g + softplus(v W_n) * N(0, 1))`, with
    the noise in training only. What is added here is an output Linear, which starts at zero.

    Args:
        width: width W of the item vectors.
        hidden: width D.
        experts: number of experts G.
        dropout: dropout on what goes into the experts.
    """

    def __init__(self, width: int, hidden: int, experts: int, dropout: float) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(experts, width))
        self.weight = nn.Parameter(torch.empty(experts, width, hidden).normal_(std=width**-0.5))
        self.gate = nn.Parameter(torch.zeros(width, experts))
        self.noise = nn.Parameter(torch.zeros(width, experts))
        self.output = zero(nn.Linear(hidden, hidden))
        self.dropout = Dropout(dropout)

    def forward(self, vectors: Tensor) -> Tensor:  # [P, W] -> [P, D]
        """Return the correction."""
        logits = vectors @ self.gate                                            # [P, G]
        if self.training:
            spread = functional.softplus(vectors @ self.noise) + SMALLEST_NOISE     # [P, G]
            logits = logits + torch.randn_like(logits) * spread
        weights = logits.softmax(-1)                                            # [P, G]
        shift = self.shift.unsqueeze(1) @ self.weight                           # [G, 1, D]
        experts = self.dropout(vectors) @ self.weight - shift                   # [G, P, D]
        return self.output((weights.T.unsqueeze(-1) * experts).sum(0))
