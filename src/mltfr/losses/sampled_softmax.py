"""Sampled softmax: cross-entropy against a few drawn items, shared by the positions of a step or each one's own."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from mltfr.losses.base import register_loss
from mltfr.losses.negatives import NegativeSampler, number_of_items, target_and_negative_scores
from mltfr.losses.sampled import Lookup, SampledLoss, SampledLossConfig


class SampledSoftmaxConfig(SampledLossConfig):
    """Settings of the sampled softmax."""

    name: Literal["sampled_softmax"] = "sampled_softmax"
    negatives: int = Field(512, ge=1)
    """Negatives of a step, or with `shared = false` of each position (n)."""
    shared: bool = True
    """Whether all positions of a step have the same negatives: one matrix product, and far less memory. Most published
    codes draw negatives of its own for every position."""
    sampling: Literal["uniform", "popularity"] = "uniform"
    """Distribution of the negatives: uniform, or popularity to the power of `alpha`."""
    alpha: float = Field(0.75, ge=0, le=2)
    """Power of an item's count under `sampling = "popularity"`."""
    log_q: bool = True
    """Whether a negative's score is corrected for how often it is drawn."""


@register_loss("sampled_softmax", SampledSoftmaxConfig)
class SampledSoftmax(SampledLoss):
    """Softmax over the target and drawn negatives, corrected for how likely each was drawn (logQ).

    `-s⁺ + log(exp(s⁺) + Σⱼ exp(sⱼ - log(n qⱼ)))` over the negatives j that are not the target. The corrected
    sum has the full softmax's as its expectation (Bengio & Senécal 2008; Yi et al., RecSys 2019). The target
    is always there, not by chance, so its own score is not corrected. Without `log_q` it is the plain softmax over the
    target and the negatives, and with `exclude_target = false` the target counts among them whenever it is drawn.
    """

    def __init__(self, config: SampledSoftmaxConfig, counts: Tensor) -> None:
        super().__init__()
        number_of_items(counts)
        self.negatives = config.negatives
        self.shared, self.exclude_target, self.log_q = config.shared, config.exclude_target, config.log_q
        self.sampler = NegativeSampler(counts, config.alpha if config.sampling == "popularity" else 0.0)

    def by_lookup(self, hidden: Tensor, targets: Tensor, lookup: Lookup) -> Tensor:
        """Return the loss of every position `[P]`, with negatives drawn anew."""
        if self.shared:
            drawn = self.sampler(self.negatives)                                           # [n]
            target, negative = (hidden * lookup(targets)).sum(1), hidden @ lookup(drawn).T  # [P], [P, n]
        else:
            drawn = self.sampler(len(hidden) * self.negatives).view(-1, self.negatives)    # [P, n]
            target, negative = target_and_negative_scores(hidden, targets, drawn, lookup)  # [P], [P, n]
        if self.log_q:
            negative = negative - (self.sampler.log_probability[drawn] + math.log(self.negatives))
        if self.exclude_target:
            negative = negative.masked_fill(drawn == targets.unsqueeze(1), float("-inf"))  # accidental hits
        return torch.cat([target.unsqueeze(1), negative], dim=1).logsumexp(1) - target
