"""A blend: the score of an item is the weighted mean of the members' probabilities that it comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from mltfr.inference.scorer import ModelScorer, Scorer
from mltfr.interactions.collate import History


class ProbabilityScorer(Scorer, Protocol):
    """A scorer whose scores of all items say how probable each of them is to come next."""

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return what the scores of all items say as probabilities, float32 `[B, I]`; every row sums to one.

        Args:
            scores: `scores(queries, 1, I + 1)`, `[B, I]`, which may be written into, in inference mode.
        """


class BlendScorer:
    """Scores by the weighted mean of its members' probabilities over all items.

    With `p_m(i | h)` member m's probability that item i follows history h, the score is `sum_m w_m p_m(i | h)`: a
    linear opinion pool (Stone 1961). Probabilities are over all items that training knows, whatever is forbidden
    later: seen items are removed once, from the blend.

    A probability needs the scores of all items, so they are computed once for a batch and kept: `[B, I]` for the
    blend, and as much for one member at a time.

    Args:
        members: score items, all of the same.
        weights: one for each, none negative; a member of weight 0 is not asked.

    Raises:
        ValueError: there is no member, a weight is missing, or the members know different numbers of items.
    """

    def __init__(self, members: Sequence[ProbabilityScorer], weights: Sequence[float]) -> None:
        if not members or len(members) != len(weights) or len({member.items for member in members}) > 1:
            raise ValueError(f"{len(members)} members with {len(weights)} weights, or of different items.")
        self._items = members[0].items
        self.members = [(member, weight) for member, weight in zip(members, weights, strict=True) if weight]

    @property
    def items(self) -> int:
        """Number of items I."""
        return self._items

    def is_current(self) -> bool:
        """Return whether the weights of all members are still those that their scorers were made from."""
        return all(member.is_current() for member, _ in self.members if isinstance(member, ModelScorer | BlendScorer))

    def queries(self, histories: Sequence[History]) -> Tensor:
        """Return the blend's scores of all items, float32 `[B, I]`."""
        with torch.inference_mode():
            total: Tensor | None = None
            for member, weight in self.members:
                scores = member.scores(member.queries(histories), 1, self.items + 1)  # [B, I]
                probabilities = member.probabilities(scores)             # [B, I]
                if total is None:
                    total = probabilities.mul_(weight)
                else:
                    total.add_(probabilities.to(total.device), alpha=weight)
            return total if total is not None else torch.zeros(len(histories), self.items)

    def summands(self, history: History) -> list[tuple[float, Tensor]]:
        """Return the weight of every member that has one, and its summand in the scores of all items, `[I]`."""
        with torch.inference_mode():
            found = []
            for member, weight in self.members:
                scores = member.scores(member.queries([history]), 1, self.items + 1)  # [1, I]
                found.append((weight, member.probabilities(scores)[0].cpu() * weight))
            return found

    def scores(self, queries: Tensor, start: int, stop: int) -> Tensor:
        """Return the mean probabilities, float32 `[B, stop - start]`."""
        with torch.inference_mode():
            return queries[:, start - 1 : stop - 1].clone(memory_format=torch.contiguous_format)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return the scores, which are probabilities."""
        return scores
