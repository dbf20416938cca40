"""A blend among whose items are some that training has not seen, which are put before known ones by a factor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mltfr.inference.blend import BlendScorer, ProbabilityScorer
from mltfr.interactions.collate import History


class NewItemsBlend(BlendScorer):
    """Scores by the mean of the members' probabilities, those of new items times a factor.

    `s(i | h) = f^[i > known] sum_m w_m p_m(i | h) / Z`, with Z such that scores sum to one. All that members learned
    drew known items to where they are asked for, so that new ones of the same fit come behind them: on the scale of
    logarithms the factor is the constant of calibrated stacking (Chao et al., "An empirical study and analysis of
    generalized zero-shot learning for object recognition in the wild", ECCV 2016, equation 4).

    Args:
        members: score items, all of the same.
        weights: one for each, none negative.
        known: how many of the items training knows; the new ones are behind them.
        factor: f.
    """

    def __init__(
        self, members: Sequence[ProbabilityScorer], weights: Sequence[float], known: int, factor: float
    ) -> None:
        super().__init__(members, weights)
        self.known, self.factor = known, factor

    def queries(self, histories: Sequence[History]) -> Tensor:
        """Return the scores of all items, float32 `[B, I]`."""
        with torch.inference_mode():
            scores = super().queries(histories)                          # [B, I]
            scores[:, self.known :] *= self.factor
            return scores.div_(scores.sum(1, keepdim=True))

    def summands(self, history: History) -> list[tuple[float, Tensor]]:
        """Return the weight of every member that has one, and its summand in the scores of all items, `[I]`."""
        found = super().summands(history)
        with torch.inference_mode():
            for _, summand in found:
                summand[self.known :] *= self.factor
            whole = sum(float(summand.sum()) for _, summand in found)
            return [(weight, summand / whole) for weight, summand in found]
