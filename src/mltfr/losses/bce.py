"""Binary cross-entropy with sampled negatives, the loss of the SASRec paper."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import softplus

from mltfr.losses.base import register_loss
from mltfr.losses.negatives import number_of_items, target_and_negative_scores, uniform_negatives
from mltfr.losses.sampled import Lookup, SampledLoss, SampledLossConfig


class BCEConfig(SampledLossConfig):
    """Settings of the binary cross-entropy."""

    name: Literal["bce"] = "bce"


@register_loss("bce", BCEConfig)
class BCE(SampledLoss):
    """Target against sampled negatives, each a yes-or-no question.

    `-log σ(s⁺) - Σⱼ log(1 - σ(sⱼ⁻))` (Kang & McAuley 2018, section III-E).
    """

    def __init__(self, config: BCEConfig, counts: Tensor) -> None:
        super().__init__()
        self.negatives = config.negatives
        self.exclude_target = config.exclude_target
        self.items = number_of_items(counts)

    def by_lookup(self, hidden: Tensor, targets: Tensor, lookup: Lookup) -> Tensor:
        """Return the loss of every position `[P]`, with negatives drawn anew."""
        drawn = uniform_negatives(targets, self.negatives, self.items, self.exclude_target)  # [P, n]
        target, negative = target_and_negative_scores(hidden, targets, drawn, lookup)       # [P], [P, n]
        return softplus(-target) + softplus(negative).sum(1)
