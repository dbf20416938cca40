"""What is logged of the method: how the router shares out, how sure the filters are, how training chooses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mltfr.fusion.averages import Averages, mean_entropy, mean_shares
from mltfr.fusion.mltfr.shortlist import Choice, TokenSelector

DEAD_BELOW = 0.01
"""Mean weight below which an expert counts as dead."""
SAMPLED_QUERIES = 8


@runtime_checkable
class HasScale(Protocol):
    """A filter whose cosines are scaled."""

    def scale(self) -> Tensor:
        """Return what cosines are multiplied by, a scalar."""


class Statistics:
    """Averages over training steps, taken by forward hooks on the router and the filters.

    Queries and states that are zero, as at padding, do not count.

    Args:
        router: maps states `[P, D]` to weights `[P, N]`.
        filters: by table, map `(query, tokens, users, batch)` to a `Choice`.
        clean: whether training asks with the queries of inference, so that stability can be told.
    """

    def __init__(self, router: nn.Module, filters: Mapping[str, TokenSelector], clean: bool) -> None:
        self.filters, self.clean = filters, clean
        self.averages = {name: Averages() for name in ("router", *filters)}
        router.register_forward_hook(self._watch_router)
        for name, each in filters.items():
            each.register_forward_hook(partial(self._watch_filter, self.averages[name]))

    def add(self, name: str, quantity: str, value: float) -> None:
        """Note a value of the filter of one table."""
        self.averages[name].add(quantity, torch.tensor(value))

    def read(self) -> dict[str, float | Mapping[str, float]]:
        """Return the averages since the last call, and every filter's scale."""
        result: dict[str, float | Mapping[str, float]] = {}
        router = self.averages["router"].read()
        if router:
            share = dict(zip(self.filters, router["share"], strict=True))
            dead = float(sum(value < DEAD_BELOW for value in share.values()))
            result = {"router_share": share, "router_entropy": router["entropy"][0], "dead_experts": dead}
        found = {name: self.averages[name].read() for name in self.filters}
        for quantity in ("entropy", "null", "stability", "shortlist_kept", "coverage"):
            values = {name: read[quantity][0] for name, read in found.items() if quantity in read}
            if values:
                result[f"filter_{quantity}"] = values
        learned = {name: each for name, each in self.filters.items() if isinstance(each, HasScale)}
        scales = {name: float(each.scale().detach()) for name, each in learned.items()}
        return result | ({"filter_scale": scales} if scales else {})

    def _watch_router(self, router: nn.Module, inputs: tuple[Tensor], weights: Tensor) -> None:
        averages = self.averages["router"]
        if router.training and averages.due("router"):
            observed = inputs[0].any(-1)                                        # [P]
            averages.add("share", mean_shares(weights, observed))
            averages.add("entropy", mean_entropy(weights, observed))

    def _watch_filter(
        self, averages: Averages, token_filter: nn.Module, inputs: tuple[Any, ...], choice: Choice
    ) -> None:
        if not (token_filter.training and averages.due("filter")):
            return
        query, tokens = inputs[:2]                                              # [Q, D], [M, D]
        asks = query.any(-1)                                                    # [Q]
        averages.add("entropy", mean_entropy(choice.log_weight.softmax(-1), asks))
        if choice.log_null is not None:
            averages.add("null", mean_shares(choice.log_null.exp().unsqueeze(1), asks))
        if self.clean and isinstance(token_filter, HasScale) and len(query):
            averages.add("stability", stability(query, tokens, choice.kept.rows))


@torch.no_grad()
def stability(query: Tensor, tokens: Tensor, chosen: Tensor) -> Tensor:  # [Q, D], [M, D], [Q, K] -> []
    """Return the share of the chosen tokens that inference would choose, which asks with the same query and no noise.

    Some queries are looked at, evenly spaced among those of a history: where there is none, as at padding, the query is
    zero, and chance alone chooses.
    """
    asks = query.any(-1)                                                        # [Q]
    order = asks.to(torch.uint8).argsort(descending=True, stable=True)          # [Q], those that ask come first
    some = order[torch.arange(SAMPLED_QUERIES, device=query.device) * asks.sum() // SAMPLED_QUERIES]    # [q]
    with torch.autocast(query.device.type, enabled=False):  # as they are chosen
        score = query[some].float() @ tokens.float().T                          # [q, M]
    without = score.topk(chosen.shape[1], dim=-1).indices                       # [q, K]
    same = without.unsqueeze(-1) == chosen[some].unsqueeze(-2)                  # [q, K, K]
    return same.any(-1).float().mean()
