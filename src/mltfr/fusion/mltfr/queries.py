"""The queries of the token filter: what a position, or a whole sequence, asks with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from mltfr.errors import ConfigError
from mltfr.fusion.base import Site
from mltfr.fusion.mltfr.shortlist import Choice
from mltfr.fusion.packing import pack

EXPONENTIAL_PER_SEQUENCE = (
    "query = 'exponential' looks back from a position, but granularity = 'sequence' asks once. "
    "Set query to 'mean', or granularity to 'position'"
)
GOLDEN_RATIO = 0.6180339887498949


class Queries(ABC):
    """How a batch asks: with how many queries, and which positions share the tokens that one of them keeps."""

    one_per_sequence = False
    """Whether all positions of a sequence share one query, made of the whole of it."""

    @abstractmethod
    def mean(self, x: Tensor, mask: Tensor, last: int) -> Tensor:
        """Return what the last positions ask with: `[B, L, D]`, `[B, L]` -> `[B, last, D]`, or `[B, 1, D]`."""

    def at(self, query: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the queries that are asked, `[Q, D]`, and whose they are, `[Q]`."""
        return pack(query, positions), positions // query.shape[1]

    def spread(self, choice: Choice, positions: Tensor, last: int) -> Choice:
        """Return what is kept at the positions, `[P, K]`, from what the queries keep, `[Q, K]`."""
        return choice


class HistoryMean(Queries):
    """The mean over the observed positions, once for a sequence: for backbones whose positions see later ones."""

    one_per_sequence = True

    def mean(self, x: Tensor, mask: Tensor, last: int) -> Tensor:
        """Return the mean, `[B, 1, D]`."""
        weight = mask.unsqueeze(-1).to(x.dtype)                                 # [B, L, 1]
        return (x * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)

    def at(self, query: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return one query a user, and the users."""
        return query.squeeze(1), torch.arange(query.shape[0], device=query.device)

    def spread(self, choice: Choice, positions: Tensor, last: int) -> Choice:
        """Return what every position's user keeps."""
        return choice.of(positions // last)


class PrefixMean(Queries):
    """At each position the mean over the observed positions up to it, itself included."""

    def mean(self, x: Tensor, mask: Tensor, last: int) -> Tensor:
        """Return the means, `[B, last, D]`."""
        weight = mask.unsqueeze(-1).to(x.dtype)                                 # [B, L, 1]
        return _prefix_sums(x * weight, last) / _prefix_sums(weight, last).clamp(min=1)


class PrefixDecay(Queries):
    """At each position a weighted mean over the history, in which an item `s` steps back counts `decay**s`."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def mean(self, x: Tensor, mask: Tensor, last: int) -> Tensor:
        """Return the weighted means, `[B, last, D]`."""
        position = torch.arange(x.shape[1], device=x.device)                    # [L]
        steps = position[-last:].unsqueeze(1) - position                        # [last, L]
        weight = torch.where(steps >= 0, self.decay ** steps.clamp(min=0).to(x.dtype), 0.0)  # [last, L]
        observed = mask.unsqueeze(-1).to(x.dtype)                               # [B, L, 1]
        total = weight @ observed                                               # [B, last, 1]
        return (weight @ (x * observed)) / torch.where(total > 0, total, 1.0)


class OwnVector(Queries):
    """What stands at a position: an item asks for itself."""

    def mean(self, x: Tensor, mask: Tensor, last: int) -> Tensor:
        """Return the vectors, `[B, last, D]`."""
        return x[:, -last:]


class QueryProjection(nn.Module):
    """Turns what a position asks with, so that items may stand elsewhere than the tokens that belong to them.

    It starts as the identity.

    Args:
        hidden: width D.
        rate_factor: of its learning rate.
    """

    def __init__(self, hidden: int, rate_factor: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(hidden))
        self.rate_factor = rate_factor

    def forward(self, mean: Tensor) -> Tensor:  # [B, L, D] -> [B, L, D]
        """Return the directions of the queries."""
        return mean.to(self.weight.dtype) @ self.weight.T


class QueryConfig(Protocol):
    """The settings of a filter that say how it asks."""

    @property
    def granularity(self) -> str:
        """What tokens are kept for: "position", "sequence" or "static"."""

    @property
    def query(self) -> str:
        """Form of the query: "mean" or "exponential"."""

    @property
    def query_decay(self) -> float:
        """Weight of an item relative to the next one in the exponential query."""


def make_queries(config: QueryConfig, is_causal: bool, site: Site = 0) -> Queries:
    """Return how a filter asks: an item for itself, a position of a history with what it has read.

    Raises:
        ConfigError: the exponential query with a bidirectional backbone.
    """
    if site == "items":
        return OwnVector()
    if config.query == "exponential":
        if not is_causal:
            raise ConfigError(
                "query = 'exponential' looks back from a position, but the backbone is bidirectional. "
                "Set query to 'mean'."
            )
        return PrefixDecay(config.query_decay)
    return PrefixMean() if is_causal and config.granularity != "sequence" else HistoryMean()


@torch.no_grad()
def sample_queries(batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return one query of every user with a history, `[Q, D]`; no randomness.

    User number i gives the one at the fraction `i * golden ratio mod 1` of the observed positions, so that early and
    late positions are there alike.

    Args:
        batches: queries `[B, L, D]` and observed positions `[B, L]`.
    """
    taken: list[Tensor] = []
    users = 0
    for query, mask in batches:
        some = mask.any(1)                                                      # [B]
        query, mask = query[some], mask[some]
        count = mask.sum(1)                                                     # [b]
        number = torch.arange(users, users + len(mask), device=mask.device, dtype=torch.float64)
        order = ((number * GOLDEN_RATIO) % 1 * count).long()                    # [b], 0 .. count - 1
        reached = mask & (mask.cumsum(1) == (order + 1).unsqueeze(1))           # [b, L], one True a row
        taken.append(query[reached])                                            # [b, D]
        users += len(mask)
    return torch.cat(taken) if taken else torch.empty(0, 0)


def _prefix_sums(x: Tensor, last: int) -> Tensor:  # [B, L, W] -> [B, last, W]
    """Return the sums up to each of the last positions; what lies before them all is summed once."""
    first = x.shape[1] - last
    if first > 0:
        x = torch.cat([x[:, : first + 1].sum(1, keepdim=True), x[:, first + 1 :]], dim=1)
    return x.cumsum(1)
