"""BPR: the target should score higher than an item drawn at random."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import softplus

from mltfr.losses.base import register_loss
from mltfr.losses.negatives import number_of_items, target_and_negative_scores, uniform_negatives
from mltfr.losses.sampled import Lookup, SampledLoss, SampledLossConfig


class BPRConfig(SampledLossConfig):
    """Settings of the Bayesian personalised ranking loss."""

    name: Literal["bpr"] = "bpr"


@register_loss("bpr", BPRConfig)
class BPR(SampledLoss):
    """Target against sampled negatives, pair by pair.

    `-1/n Σⱼ log σ(s⁺ - sⱼ⁻)` (Rendle et al., UAI 2009, arXiv 1205.2618, section 4.1). The mean, so that more
    negatives estimate the same loss better; the paper's regularisation is `training.weight_decay`.
    """

    def __init__(self, config: BPRConfig, counts: Tensor) -> None:
        super().__init__()
        self.negatives = config.negatives
        self.exclude_target = config.exclude_target
        self.items = number_of_items(counts)

    def by_lookup(self, hidden: Tensor, targets: Tensor, lookup: Lookup) -> Tensor:
        """Return the loss of every position `[P]`, with negatives drawn anew."""
        drawn = uniform_negatives(targets, self.negatives, self.items, self.exclude_target)  # [P, n]
        target, negative = target_and_negative_scores(hidden, targets, drawn, lookup)       # [P], [P, n]
        return softplus(negative - target.unsqueeze(1)).mean(1)
