"""Variants of a fitted fusion: without one of its tables, or without one kept token, many of them in one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from mltfr.fusion.mltfr import MltfrFusion
from mltfr.fusion.mltfr.shortlist import Choice, TokenSelector
from mltfr.fusion.tables import ByTable
from mltfr.inference import BlendScorer, ModelScorer, Scorer
from mltfr.inference.blend import ProbabilityScorer
from mltfr.pipeline.models import BlendModel, Model, NeuralModel

Token = tuple[str, int]
"""A table's name, and a row of the table."""


@dataclass(frozen=True)
class Variant:
    """What is left out of a fusion; nothing if both are None.

    Attributes:
        table: a table, whose expert the router gives no weight, while the weights of the others are renormalised.
        token: a token, whose attention entry is masked wherever it is kept.
    """

    table: str | None = None
    token: Token | None = None


class PartialRouter(nn.Module):
    """A router that leaves experts out, and renormalises; its batch is V variants of equally many positions.

    Args:
        router: the router.
        keep: 1 for an expert that counts, 0 for one that does not, `[V, N]`.
    """

    def __init__(self, router: nn.Module, keep: Tensor) -> None:
        super().__init__()
        self.router, self.keep = router, keep

    def forward(self, x: Tensor) -> Tensor:  # [P, D] -> [P, N]
        """Return the weights; all zero where no expert is left."""
        weights = self.router(x) * _by_variant(self.keep, len(x), x.device)            # [P, N]
        return weights / weights.sum(1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)


class AroundFilter(TokenSelector):
    """A filter, of one table, around another whose shortlist it has."""

    def __init__(self, inner: TokenSelector) -> None:
        super().__init__(inner.shortlist)
        self.inner = inner

    def tokens(self, vectors: Tensor) -> Tensor:  # [M, W] -> [M, D]
        """Return the shortlist as the filter's queries meet it."""
        return self.inner.tokens(vectors)


class AskedOnce(AroundFilter):
    """A filter, of one table, that equal queries ask once: histories without one item share prefixes."""

    def forward(self, query: Tensor, tokens: Tensor, users: Tensor, batch: int) -> Choice:
        """Return what the filter keeps."""
        first, same = _distinct(query)                                          # [q], [Q]
        choice: Choice = self.inner(query[first], tokens, users[first], batch)
        return choice.of(same)


class MaskedTokens(AroundFilter):
    """A filter, of one table, whose kept tokens are masked in the attention: one token in each of V variants.

    Args:
        inner: the filter.
        masked: the masked token's place on the shortlist, int64 `[V]`; -1 for none.
    """

    def __init__(self, inner: TokenSelector, masked: Tensor) -> None:
        super().__init__(inner)
        self.masked = masked

    def forward(self, query: Tensor, tokens: Tensor, users: Tensor, batch: int) -> Choice:
        """Return what the filter keeps, the masked token with no weight."""
        choice: Choice = self.inner(query, tokens, users, batch)
        hidden = choice.kept.rows == _by_variant(self.masked, len(query), query.device).unsqueeze(1)    # [Q, K]
        return choice._replace(log_weight=choice.log_weight.masked_fill(hidden, -torch.inf))


def mltfr_members(model: Model) -> list[tuple[NeuralModel, MltfrFusion, float]]:
    """Return the networks of a model that read token tables by mltfr, with their fusions and their weights."""
    if isinstance(model, BlendModel):
        pairs = zip(model.members, model.weights.tolist(), strict=True)
        return [
            (network, fusion, weight)
            for member, weight in pairs
            if weight
            for network, fusion, _ in mltfr_members(member)
        ]
    if isinstance(model, NeuralModel) and isinstance(model.fusion, MltfrFusion):
        return [(model, model.fusion, 1.0)]
    return []


def asking_once(scorer: Scorer) -> Scorer:
    """Return a scorer that shares all weights, whose filters are asked once by queries that are equal."""
    return _changed(scorer, lambda _, each: AskedOnce(each))


def with_variants(scorer: Scorer, variants: Sequence[Variant]) -> Scorer:
    """Return a scorer that shares all weights, and takes the rows of a batch for variants of one history.

    Args:
        scorer: of a fitted model.
        variants: V of them; a batch has as many rows, all of the same history.
    """

    def masked(name: str, each: TokenSelector) -> MaskedTokens:
        places = {token: place for place, token in enumerate(each.shortlist.ids.tolist())}
        tokens = [v.token[1] if v.token is not None and v.token[0] == name else None for v in variants]
        return MaskedTokens(each, torch.tensor([-1 if token is None else places.get(token, -1) for token in tokens]))

    def without_tables(router: nn.Module, names: Sequence[str]) -> PartialRouter:
        return PartialRouter(router, torch.tensor([[float(each.table != name) for name in names] for each in variants]))

    return _changed(scorer, masked, without_tables, of_items=True)


def without_names(model: Model) -> Model | None:
    """Return a model that shares all weights, without what names add to item vectors; None where they add nothing."""
    if isinstance(model, BlendModel):
        members = [without_names(member) for member in model.members]
        if all(member is None for member in members):
            return None
        pairs = zip(members, model.members, strict=True)
        return model.with_members([old if new is None else new for new, old in pairs])
    if not isinstance(model, NeuralModel) or model.names is None:
        return None
    other = copy(model)
    other._modules = {name: module for name, module in model._modules.items() if name != "names"}
    other.names = None
    return other


def _changed(
    scorer: Scorer,
    of_filter: Callable[[str, TokenSelector], TokenSelector],
    of_router: Callable[[nn.Module, Sequence[str]], nn.Module] = lambda router, _: router,
    of_items: bool = False,
) -> Scorer:
    """Return a scorer that shares all weights, with other filters and another router in every fusion.

    Args:
        scorer: of a fitted model.
        of_filter: returns what takes the place of the filter of a table.
        of_router: returns what takes the place of the router over some tables.
        of_items: whether fusions that correct item vectors are changed, too, and these made anew.
    """
    if isinstance(scorer, BlendScorer):
        blend, change = copy(scorer), partial(_changed, of_filter=of_filter, of_router=of_router, of_items=of_items)
        blend.members = [(cast(ProbabilityScorer, change(member)), weight) for member, weight in scorer.members]
        return blend
    if not isinstance(scorer, ModelScorer) or not isinstance(scorer.model.fusion, MltfrFusion):
        return scorer
    if scorer.model.corrects_items and not of_items:
        return scorer
    fusion = copy(scorer.model.fusion)
    filters = {name: of_filter(name, fusion.filters.of(name)) for name in fusion.widths}
    parts = {"router": of_router(fusion.router, list(fusion.widths)), "filters": ByTable(filters)}
    fusion._modules = {**fusion._modules, **parts}
    model = scorer.model.with_fusion(fusion.eval())
    if model.corrects_items:
        return ModelScorer(model, scorer.device, fused=scorer.fused)
    other = copy(scorer)
    other.model = model
    return other


def _distinct(rows: Tensor) -> tuple[Tensor, Tensor]:  # [Q, D] -> [q], [Q]
    """Return the first of all rows that are equal to the bit, and for every row which of them it is equal to."""
    content = rows.cpu().contiguous().view(torch.uint8).numpy()                 # [Q, bytes of a row]
    whole = content.view(np.dtype((np.void, content.shape[1])))[:, 0]           # [Q]
    _, first, same = np.unique(whole, return_index=True, return_inverse=True)
    return torch.from_numpy(first).to(rows.device), torch.from_numpy(same).to(rows.device)


def _by_variant(values: Tensor, rows: int, device: torch.device) -> Tensor:  # [V, ...] -> [rows, ...]
    """Return what every row's variant has; rows of one variant lie together, as many of each."""
    return values.repeat_interleave(rows // len(values), 0).to(device)
