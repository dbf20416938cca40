"""Tokens and items in one space from the first step: what projects tokens begins as what made vectors of names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from mltfr.fusion.mltfr.model import MltfrFusion, TokenFilter


@dataclass(frozen=True)
class TokenMap:
    """Where the rows of a table lie among the items' names.

    Attributes:
        weight: `[D, W]`, for rows as the table has them.
        bias: `[D]`.
    """

    weight: Tensor
    bias: Tensor


def share_space(fusion: MltfrFusion, maps: Mapping[str, TokenMap]) -> None:
    """Let the filters' projections and the experts' adapters of a fresh fusion begin as the maps of its tables.

    A cosine between a query, made of item vectors, and a token is then that between names and the token.

    Args:
        fusion: the fusion, in place; it reads rows times `sqrt(W)`.
        maps: by the name of the table.
    """
    filters = ((name, fusion.filters.of(name)) for name in fusion.widths)
    projections = ((name, each.projection) for name, each in filters if isinstance(each, TokenFilter))
    adapters = ((name, fusion.experts.of(name).adapter) for name in fusion.widths)
    with torch.no_grad():
        for name, linear in chain(projections, adapters):
            _begin_as(linear, maps[name])


def _begin_as(linear: nn.Linear, start: TokenMap) -> None:
    linear.weight.copy_(start.weight / linear.in_features**0.5)
    linear.bias.copy_(start.bias)
