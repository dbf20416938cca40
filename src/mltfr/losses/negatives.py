"""Negative sampling: which items a target is compared with when all are too many."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mltfr.errors import ConfigError
from mltfr.kernels.gathered import look_up_dot
from mltfr.losses.sampled import Lookup


class NegativeSampler(nn.Module):
    """Draws items with replacement, each with probability proportional to its count to the power `alpha`.

    Args:
        counts: int64 `[I + 1]`, training interactions of every code; an item without any counts as one.
        alpha: 0 draws uniformly, 1 by popularity.
    """

    cumulative: Tensor
    log_probability: Tensor

    def __init__(self, counts: Tensor, alpha: float) -> None:
        super().__init__()
        weights = counts[1:].double().clamp_min(1) ** alpha                               # [I]
        probability = weights / weights.sum()
        # derived from the counts, so no part of a saved state
        self.register_buffer("cumulative", probability.cumsum(0), persistent=False)       # [I]
        padded = torch.cat([probability.new_zeros(1), probability]).log().float()         # [I + 1]
        self.register_buffer("log_probability", padded, persistent=False)

    def forward(self, number: int) -> Tensor:
        """Return `number` codes 1..I, int64 `[number]`, drawn with torch's global generator."""
        draws = torch.rand(number, dtype=torch.float64, device=self.cumulative.device)
        last = len(self.cumulative)
        codes: Tensor = 1 + torch.searchsorted(self.cumulative, draws, right=True)
        return codes.clamp_max(last)  # the cumulative sum may end a rounding error below 1


def uniform_negatives(targets: Tensor, number: int, items: int, exclude_target: bool = True) -> Tensor:
    """Return codes that are not the target, each with the same probability, int64 `[P, number]`.

    Drawing from one item fewer and stepping over the target needs no second draw. Items of the history are
    not stepped over: a loss knows scores and targets only, and among thousands of items they are rare.

    Args:
        targets: int64 `[P]`, codes 1..I.
        number: negatives of each position.
        items: number of items I, at least 2.
        exclude_target: whether the target is left out; otherwise it is drawn as any other item.
    """
    if not exclude_target:
        return torch.randint(1, items + 1, (len(targets), number), device=targets.device)  # [P, n]
    codes = torch.randint(1, items, (len(targets), number), device=targets.device)  # [P, n]
    return codes + (codes >= targets.unsqueeze(1)).long()


def target_and_negative_scores(
    hidden: Tensor, targets: Tensor, negatives: Tensor, lookup: Lookup
) -> tuple[Tensor, Tensor]:
    """Return the scores of the targets `[P]` and of each position's own negatives `[P, n]`.

    Args:
        hidden: `[P, D]`.
        targets: int64 `[P]`.
        negatives: int64 `[P, n]`.
        lookup: item vectors of codes.
    """
    codes = torch.cat([targets.unsqueeze(1), negatives], dim=1)       # [P, 1 + n]
    scores = look_up_dot(hidden, lookup, codes)                       # [P, 1 + n], one lookup, one gradient
    return scores[:, 0], scores[:, 1:]


def number_of_items(counts: Tensor) -> int:
    """Return I, having checked that a target leaves an item to be its negative.

    Raises:
        ConfigError: there are fewer than two items.
    """
    items = len(counts) - 1
    if items < 2:
        raise ConfigError(
            f"The log has {items} item(s), and a loss with negatives needs at least 2. "
            "Use a log with more items, or the loss 'cross_entropy'."
        )
    return items
