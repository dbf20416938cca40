"""Variants of a fitted fusion: without one of its tables, or without one kept token, many of them in one batch."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mltfr.fusion.mltfr import MltfrFusion
from mltfr.fusion.mltfr.shortlist import Choice, TokenSelector
from mltfr.fusion.tables import ByTable
from mltfr.pipeline.constant_branch import with_fusion
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
        weights = self.router(x) * _by_variant(self.keep, len(x))               # [P, N]
        return weights / weights.sum(1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)


class MaskedTokens(TokenSelector):
    """A filter, of one table, whose kept tokens are masked in the attention: one token in each of V variants.

    Args:
        inner: the filter.
        masked: the masked token's place on the shortlist, int64 `[V]`; -1 for none.
    """

    def __init__(self, inner: TokenSelector, masked: Tensor) -> None:
        super().__init__(inner.shortlist)
        self.inner, self.masked = inner, masked

    def tokens(self, vectors: Tensor) -> Tensor:  # [M, W] -> [M, D]
        """Return the shortlist as the filter's queries meet it."""
        return self.inner.tokens(vectors)

    def forward(self, query: Tensor, tokens: Tensor, users: Tensor, batch: int) -> Choice:
        """Return what the filter keeps, the masked token with no weight."""
        choice: Choice = self.inner(query, tokens, users, batch)
        hidden = choice.kept.rows == _by_variant(self.masked, len(query)).unsqueeze(1)          # [Q, K]
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


def with_variants(model: Model, variants: list[Variant]) -> Model:
    """Return a model that shares all weights, and takes the rows of a batch for variants of one history.

    Args:
        model: a fitted model in evaluation mode.
        variants: V of them; a batch has as many rows, all of the same history.
    """
    if isinstance(model, BlendModel):
        return model.with_members([with_variants(member, variants) for member in model.members])
    if not isinstance(model, NeuralModel) or not isinstance(model.fusion, MltfrFusion):
        return model
    fusion, names = model.fusion, list(model.fusion.widths)
    device = model.item_embedding.weight.device
    keep = torch.tensor([[float(each.table != name) for name in names] for each in variants], device=device)
    filters = dict[str, TokenSelector]()
    for name in names:
        ids = {int(token): place for place, token in enumerate(fusion.filters.of(name).shortlist.ids.tolist())}
        places = [ids.get(v.token[1], -1) if v.token is not None and v.token[0] == name else -1 for v in variants]
        filters[name] = MaskedTokens(fusion.filters.of(name), torch.tensor(places, device=device))
    other = copy(fusion)
    parts = {"router": PartialRouter(fusion.router, keep), "filters": ByTable(filters)}
    other._modules = {**fusion._modules, **parts}
    return with_fusion(model, other.eval())


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


def _by_variant(values: Tensor, rows: int) -> Tensor:  # [V, ...] -> [rows, ...]
    """Return what every row's variant has; rows of one variant lie together, as many of each."""
    return values.repeat_interleave(rows // len(values), 0)
