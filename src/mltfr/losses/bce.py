"""Binary cross-entropy with sampled negatives, the loss of the SASRec paper."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from mltfr.losses.base import LossConfig, register_loss
from mltfr.losses.negatives import number_of_items, target_and_negative_scores, uniform_negatives
from mltfr.losses.sampled import Lookup, SampledLoss


class BCEConfig(LossConfig):
    """Settings of the binary cross-entropy."""

    name: Literal["bce"] = "bce"
    negatives: int = Field(1, ge=1)
    """Negatives of each position, drawn uniformly from all items but the target."""


@register_loss("bce", BCEConfig)
class BCE(SampledLoss):
    """Target against sampled negatives, each a yes-or-no question.

    `-log σ(s⁺) - Σⱼ log(1 - σ(sⱼ⁻))` (Kang & McAuley 2018, section III-E).
    """

    def __init__(self, config: BCEConfig, counts: Tensor) -> None:
        super().__init__()
        self.negatives = config.negatives
        self.items = number_of_items(counts)

    def by_lookup(self, hidden: Tensor, targets: Tensor, lookup: Lookup) -> Tensor:
        """Return the loss of every position `[P]`, with negatives drawn anew."""
        drawn = uniform_negatives(targets, self.negatives, self.items)                     # [P, n]
        target, negative = target_and_negative_scores(hidden, targets, drawn, lookup)       # [P], [P, n]
        return softplus(-target) + softplus(negative).sum(1)
