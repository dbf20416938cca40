"""Sampled softmax: cross-entropy against a few items that all positions of a step share."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from mltfr.losses.base import LossConfig, register_loss
from mltfr.losses.negatives import NegativeSampler, number_of_items
from mltfr.losses.sampled import Lookup, SampledLoss


class SampledSoftmaxConfig(LossConfig):
    """Settings of the sampled softmax."""

    name: Literal["sampled_softmax"] = "sampled_softmax"
    negatives: int = Field(512, ge=1)
    """Negatives of a step (n), shared by all its positions."""
    sampling: Literal["uniform", "popularity"] = "uniform"
    """Distribution of the negatives: uniform, or popularity to the power of `alpha`."""
    alpha: float = Field(0.75, ge=0, le=2)
    """Power of an item's count under `sampling = "popularity"`."""
    log_q: bool = True
    """Whether a negative's score is corrected for how often it is drawn."""


@register_loss("sampled_softmax", SampledSoftmaxConfig)
class SampledSoftmax(SampledLoss):
    """Softmax over the target and shared negatives, corrected for how likely each was drawn (logQ).

    `-s⁺ + log(exp(s⁺) + Σⱼ exp(sⱼ - log(n qⱼ)))` over the negatives j that are not the target. The corrected
    sum has the full softmax's as its expectation (Bengio & Senécal 2008; Yi et al., RecSys 2019). The target
    is always there, not by chance, so its own score is not corrected.
    """

    def __init__(self, config: SampledSoftmaxConfig, counts: Tensor) -> None:
        super().__init__()
        number_of_items(counts)
        self.negatives = config.negatives
        self.log_q = config.log_q
        self.sampler = NegativeSampler(counts, config.alpha if config.sampling == "popularity" else 0.0)

    def by_lookup(self, hidden: Tensor, targets: Tensor, lookup: Lookup) -> Tensor:
        """Return the loss of every position `[P]`; all compare with the same new negatives."""
        drawn = self.sampler(self.negatives)                                               # [n]
        target = (hidden * lookup(targets)).sum(1, keepdim=True)  # [P, 1]
        negative = hidden @ lookup(drawn).T                  # [P, n]
        if self.log_q:
            negative = negative - (self.sampler.log_probability[drawn] + math.log(self.negatives))
        negative = negative.masked_fill(drawn == targets.unsqueeze(1), float("-inf"))      # accidental hits
        return torch.cat([target, negative], dim=1).logsumexp(1) - target.squeeze(1)
