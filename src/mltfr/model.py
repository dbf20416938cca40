"""The scorer: item vectors, a backbone, and a fusion plugged into its stack."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mltfr.backbones import Backbone
from mltfr.fusion import Fusion
from mltfr.fusion.base import Site
from mltfr.item_vectors import Change, ItemVectors
from mltfr.kernels.row_dropout import RowDropout
from mltfr.name_path import NamePath


@dataclass(frozen=True)
class Prepared:
    """What encoding and scoring need not compute again: within a training step, or while the weights stay the same.

    Attributes:
        items: the item vectors, of histories and of candidates.
        fusion: what the fusion's `prepare` returned; None to compute it where it is needed.
    """

    items: ItemVectors
    fusion: Any = None


class SequentialModel(nn.Module):
    """Scores the next item of a history: `user_embedding(items) @ scoring_matrix().T`.

    Args:
        items: number of items I; codes are 1..I, 0 is padding.
        backbone: the sequence encoder.
        fusion: the correction of its hidden states; None for the bare backbone.
        site: block after whose output `delta` is added, -1 being the last one; or "items", the item vectors.
        hides_items: whether code I + 1 is an item that a training objective hides.

    Attributes:
        names: what the items' names add to their vectors; None, as it begins, for nothing.

    Raises:
        ValueError: `site` is not a block of the backbone.
    """

    def __init__(
        self,
        items: int,
        backbone: Backbone,
        fusion: Fusion | None = None,
        site: Site = 0,
        hides_items: bool = False,
    ) -> None:
        super().__init__()
        if site != "items" and not -1 <= site < len(backbone.blocks):
            raise ValueError(f"site is {site}, but the backbone has blocks 0 to {len(backbone.blocks) - 1}.")
        self.items = items
        self.mask_token = items + 1 if backbone.uses_mask_token else None
        rows = items + 1 + int(backbone.uses_mask_token)
        self.item_embedding = nn.Embedding(rows, backbone.hidden, padding_idx=0)
        self.item_bias = nn.Parameter(torch.zeros(items + 1)) if backbone.uses_item_bias else None
        self.item_dropout = RowDropout(backbone.item_dropout)
        self.backbone = backbone
        self.fusion = fusion
        self.names: NamePath | None = None
        self.site = site if site == "items" else site % len(backbone.blocks)
        with torch.no_grad():
            backbone.reset_item_embedding(self.item_embedding.weight)
            self.item_embedding.weight[0] = 0
        if hides_items:
            self._add_hidden_item()

    @property
    def corrects_items(self) -> bool:
        """Whether the fusion's `delta` is added to item vectors, so that they cost more than a lookup."""
        return self.fusion is not None and self.site == "items"

    def with_fusion(self, fusion: Fusion) -> Self:
        """Return a model of the same parts but for the fusion; it shares all other weights."""
        other = copy(self)
        other._modules = dict(self._modules)
        other.fusion = fusion
        return other

    def item_vectors(self, whole: bool = False, fused: bool = True, dropped: bool = True) -> ItemVectors:
        """Return the item vectors as they are now: the one source of all that a history or a score is made of.

        In training with item dropout, every call draws another mask: a step makes its item vectors once.

        Args:
            whole: whether all of them are going to be read.
            fused: whether the fusion corrects them, where its site is the items.
            dropped: whether item dropout acts on them in training.
        """
        changes: list[Change] = [] if self.names is None else [self.names]
        if fused and self.corrects_items:
            changes.append(self._correction())
        mask = self.item_dropout.draw(self.item_embedding.weight.device) if dropped else None
        if mask is not None:
            changes.append(mask)
        return ItemVectors(self.item_embedding, changes, whole)

    def prepare(self, fused: bool = True) -> Prepared:
        """Return what scoring need not compute again while the weights stay the same.

        Args:
            fused: whether the fusion takes part; without it, for the zero branch.
        """
        fusion = self.fusion if fused and not self.corrects_items else None
        vectors = self.item_vectors(whole=True, fused=fused)
        return Prepared(vectors, fusion.prepare() if fusion is not None else None)

    def encode(
        self, items: Tensor, last: int | None = None, prepared: Prepared | None = None, fused: bool = True
    ) -> Tensor:
        """Return the hidden states of codes `[B, L]`.

        Args:
            items: right-aligned codes `[B, L]`.
            last: how many positions, from the end, are returned; all if not given.
            prepared: what `prepare` returned for the weights as they are, or the item vectors of a training step; None
                to compute it here.
            fused: whether the fusion corrects the states; without it, `delta = 0` (the zero branch).

        Returns:
            `[B, last or L, D]`, of unit norm where scores are cosines, with one column of ones more where items have a
            bias.
        """
        last = last or items.shape[1]
        mask = items != 0                                              # [B, L]
        prepared = prepared or Prepared(self.item_vectors(fused=fused))
        vectors = prepared.items.of(items)                             # [B, L, D]
        x, context = self.backbone.encode_input(vectors, mask)         # [B, L, D]
        final = len(self.backbone.blocks) - 1
        needed = last if self.site == final else items.shape[1]       # no block reads what the final one returns
        corrects = fused and not self.corrects_items
        delta = self._delta(x, vectors, items, mask, needed, prepared.fusion) if corrects else None  # [B, needed, D]
        for index, block in enumerate(self.backbone.blocks):
            only = () if index < final or last == items.shape[1] else (last,)
            x = block(x, context, *only)                               # [B, L, D], or [B, last, D]
            if index == self.site and delta is not None:
                x = x + delta[:, -x.shape[1] :]
        hidden = self.backbone.project_output(x, mask[:, -last:])            # [B, last, D]
        if self.backbone.temperature is not None:
            hidden = normalize(hidden, dim=-1)
        if self.item_bias is None:
            return hidden
        return torch.cat([hidden, hidden.new_ones(*hidden.shape[:-1], 1)], dim=-1)

    def user_embedding(self, items: Tensor, prepared: Prepared | None = None, fused: bool = True) -> Tensor:
        """Return the state that scores the next item, `[B, D]`, of right-aligned codes `[B, L]`; see `encode`."""
        if self.mask_token is not None:
            token = items.new_full((items.shape[0], 1), self.mask_token)
            items = torch.cat([items, token], dim=1)[:, -self.backbone.max_length :]
        return self.encode(items, 1, prepared, fused)[:, -1]

    def scoring_matrix(self, prepared: Prepared | None = None) -> Tensor:
        """Return what hidden states are compared with, `[I + 1, D]`; row 0 is padding. `prepared` as for `encode`."""
        vectors = (self.item_vectors(whole=True) if prepared is None else prepared.items).all()[: self.items + 1]
        return self._score_weights(vectors, self.item_bias)

    def score_weights(self, codes: Tensor, prepared: Prepared | None = None) -> Tensor:
        """Return the rows of `scoring_matrix()` that codes `[...]` name, `[..., D]`, without making the matrix."""
        vectors = (self.item_vectors() if prepared is None else prepared.items).of(codes)     # [..., D]
        return self._score_weights(vectors, None if self.item_bias is None else self.item_bias[codes])

    def fusion_inputs(self, items: Tensor) -> tuple[Tensor, ...]:
        """Return what the fusion's `forward` takes of codes `[B, L]`: `x` `[B, L, D]`, the observed positions, ...

        Where its site is the items, `x` is each position's item vector, else the input of the stack.
        """
        mask = items != 0
        x = vectors = self.item_vectors(fused=False).of(items)           # [B, L, D]
        if not self.corrects_items:
            x, _ = self.backbone.encode_input(vectors, mask)
        return self._fusion_inputs(x, vectors, items, mask)

    def _fusion_inputs(self, x: Tensor, vectors: Tensor, items: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        observed = self._observed(items, mask)
        if self.fusion is not None and self.fusion.reads_items:
            return x, observed, items * observed
        if self.fusion is not None and self.fusion.reads_item_vectors:
            if self.item_dropout.active and not self.corrects_items:
                vectors = self.item_vectors(dropped=False).of(items)
            return x, observed, vectors
        return x, observed

    def _score_weights(self, vectors: Tensor, bias: Tensor | None) -> Tensor:  # [..., D], [...] -> [..., D (+ 1)]
        if self.backbone.temperature is not None:
            vectors = normalize(vectors, dim=-1) / self.backbone.temperature
        return vectors if bias is None else torch.cat([vectors, bias.unsqueeze(-1)], dim=-1)

    def _observed(self, items: Tensor, mask: Tensor) -> Tensor:
        return mask if len(self.item_embedding.weight) == self.items + 1 else mask & (items <= self.items)

    def _add_hidden_item(self) -> None:
        """Append the vector of a hidden item; drawn last, so that all others start as they would without it."""
        weight = self.item_embedding.weight.detach()                     # [I + 1, D]
        row = torch.randn(1, weight.shape[1]) * weight[1:].std()       # [1, D]
        self.item_embedding = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
            torch.cat([weight, row]), freeze=False, padding_idx=0
        )

    def _correction(self) -> Change:
        """Return what adds `delta` to item vectors; rows that are no items stay as they are."""
        prepared = self.fusion.prepare() if self.fusion is not None else None

        def corrected(codes: Tensor, vectors: Tensor) -> Tensor:         # [R], [R, D] -> [R, D]
            real = (codes > 0) & (codes <= self.items)
            x, one = vectors.unsqueeze(0), codes.unsqueeze(0)            # [1, R, D], [1, R]
            delta = self._delta(x, x, one, real.unsqueeze(0), len(codes), prepared)
            return vectors if delta is None else vectors + delta.squeeze(0)

        return corrected

    def _delta(
        self, x: Tensor, vectors: Tensor, items: Tensor, mask: Tensor, last: int, prepared: Any = None
    ) -> Tensor | None:
        """Return what is added at the last positions, `[B, last, D]`; None for nothing."""
        if self.fusion is None:
            return None
        x, observed, *more = self._fusion_inputs(x, vectors, items, mask)
        more += [] if prepared is None else [prepared]
        if last == items.shape[1]:
            delta = self.fusion(x, observed, *more)                    # [B, L, D]
        else:
            delta = self.fusion.last(x, observed, last, *more)       # [B, last, D]
        corrected = observed if self.mask_token is None else mask  # outputs at hidden items are never read
        return delta * corrected[:, -last:].unsqueeze(-1)
