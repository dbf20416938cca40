"""Generalised binary cross-entropy: BCE without the overconfidence that few negatives cause."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from mltfr.losses.base import register_loss
from mltfr.losses.negatives import number_of_items, target_and_negative_scores, uniform_negatives
from mltfr.losses.sampled import Lookup, SampledLoss, SampledLossConfig


class GBCEConfig(SampledLossConfig):
    """Settings of the generalised binary cross-entropy; the defaults are those of gSASRec."""

    name: Literal["gbce"] = "gbce"
    negatives: int = Field(256, ge=1)
    """Negatives of each position (k)."""
    calibration: float = Field(0.75, ge=0, le=1)
    """Calibration t: 0 is plain BCE, 1 makes the predicted probabilities those of full sampling."""


@register_loss("gbce", GBCEConfig)
class GBCE(SampledLoss):
    """BCE with the target's probability raised to a power that undoes the bias of sampling.

    `-(log σ(s⁺)^β + Σⱼ log(1 - σ(sⱼ⁻))) / (k + 1)`, `β = α (t (1 - 1/α) + 1/α)`, with `α = k / (I - 1)` the
    share of the other items that is sampled (Petrov & Macdonald, RecSys 2023, arXiv 2308.07192, section 4).
    """

    def __init__(self, config: GBCEConfig, counts: Tensor) -> None:
        super().__init__()
        self.negatives = config.negatives
        self.exclude_target = config.exclude_target
        self.items = number_of_items(counts)
        sampled = min(config.negatives / (self.items - 1), 1.0)  # negatives repeat, so k may exceed I - 1
        self.power = sampled * (config.calibration * (1 - 1 / sampled) + 1 / sampled)

    def by_lookup(self, hidden: Tensor, targets: Tensor, lookup: Lookup) -> Tensor:
        """Return the loss of every position `[P]`, with negatives drawn anew."""
        drawn = uniform_negatives(targets, self.negatives, self.items, self.exclude_target)  # [P, k]
        target, negative = target_and_negative_scores(hidden, targets, drawn, lookup)       # [P], [P, k]
        return (self.power * softplus(-target) + softplus(negative).sum(1)) / (self.negatives + 1)
