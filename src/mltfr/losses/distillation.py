"""Distillation: a model learns what a teacher thinks comes next, beside what did (Hinton, Vinyals & Dean 2015)."""

from __future__ import annotations

from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from mltfr.config import Config
from mltfr.losses.base import weighted_mean
from mltfr.losses.cross_entropy import CrossEntropy, CrossEntropyConfig


class DistillationConfig(Config):
    """What is learned from a teacher; nothing where none is given."""

    teacher: str = ""
    """Run folder of the teacher, a network, a baseline or a blend of the same log, filters and split; none if empty."""
    top: int = Field(50, ge=1)
    """Items of the teacher's at every position that are learned, the most probable ones."""
    weight: float = Field(0.8, gt=0, le=1)
    """Share of the teacher in the loss; that of the targets is the rest."""
    temperature: float = Field(1.0, gt=0)
    """Temperature of the teacher's and the model's probabilities in the teacher's term: above 1, items that the teacher
    thinks less probable count more."""


class Distillation(nn.Module):
    """Mixes the training loss with the cross-entropy to a teacher's probabilities.

    With `s` the model's scores of all items at a position, `q` the teacher's probabilities of its most probable items,
    to the power `1 / T` and summing to one, `T` the temperature and `a` the weight, the loss is the mean of

        (1 - a) loss(s, target) + a T^2 sum_j -q_j log softmax(s / T)_j

    over the positions with a target. `T^2` keeps the size of the gradient (Hinton, Vinyals & Dean 2015, section 2.1).
    Since `-log softmax(s)_j = logsumexp(s) - s_j`, the second term is the cross-entropy to any one item c and
    `s_c - sum_j q_j s_j` more, so that the logits of all items never exist at a time.
    """

    def __init__(self, config: DistillationConfig) -> None:
        super().__init__()
        self.weight = config.weight
        self.temperature = config.temperature
        self.cross_entropy = CrossEntropy(CrossEntropyConfig(), torch.zeros(0))

    def forward(
        self,
        loss: Tensor,
        hidden: Tensor,
        items: Tensor,
        codes: Tensor,
        shares: Tensor,
        target_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the mixed loss, a scalar.

        Args:
            loss: the mean training loss, a scalar.
            hidden: `[P, D]`.
            items: item vectors `[I + 1, D]`.
            codes: int64 `[P, n]`, the teacher's items, the most probable one first.
            shares: float `[P, n]`, q.
            target_weight: see `Loss.forward`.
        """
        return (1 - self.weight) * loss + self.weight * self.soft(hidden, items, codes, shares, target_weight)

    def soft(
        self, hidden: Tensor, items: Tensor, codes: Tensor, shares: Tensor, target_weight: Tensor | None = None
    ) -> Tensor:
        """Return the mean of `T^2 sum_j -q_j log softmax(s / T)_j`, a scalar; arguments are those of `forward`."""
        cooled = hidden / self.temperature                               # [P, D]
        one = codes[:, 0]                                                # [P], c
        to_one = self.cross_entropy(cooled, one, items, target_weight)   # logsumexp(s / T) - s_c / T
        expected = embedding_bag(codes, items, per_sample_weights=shares.to(items.dtype), mode="sum")  # [P, D]
        more = (cooled * (items[one] - expected)).sum(1)                 # [P], (s_c - sum_j q_j s_j) / T
        return cast("Tensor", self.temperature**2 * (to_one + weighted_mean(more, target_weight)))
