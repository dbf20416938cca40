"""Item vectors as a model reads them: the same for the rows of a history and for the items that it scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

Change: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""What is done to item vectors: codes `[R]` and their vectors `[R, D]` to vectors `[R, D]`, each row by itself."""
ROWS_AT_ONCE = 8192
"""Rows that are changed together where nothing trains, which bounds the memory that it takes."""


class ItemVectors:
    """The item vectors of one training step, or of a model whose weights stay as they are.

    They are the rows of an item embedding, or what a chain of changes makes of them. Whoever reads them within a step
    reads the same ones, since what is random in a change is drawn before; but for the dropout and noise of a fusion
    that corrects items, which are drawn at every look-up unless `whole`.

    Args:
        item_embedding: `[R, D]`, row 0 for padding; whatever else there is a row for has a code as well.
        changes: what is done to its rows, in this order.
        whole: whether all rows are changed at once, as a loss over all items reads them; else those that are looked up.
    """

    def __init__(self, item_embedding: nn.Embedding, changes: Sequence[Change] = (), whole: bool = False) -> None:
        self.item_embedding, self.changes = item_embedding, changes
        self.table = self._changed_table() if whole and changes else None

    def of(self, codes: Tensor) -> Tensor:  # [...] -> [..., D]
        """Return the vectors of codes, zero at padding."""
        if self.table is not None:
            return embedding(codes, self.table, padding_idx=0)
        if not self.changes:
            vectors: Tensor = self.item_embedding(codes)
            return vectors
        unique, places = torch.unique(codes, return_inverse=True)                 # [U], [...]
        return embedding(places, self._changed(unique, self.item_embedding(unique)))

    def all(self) -> Tensor:
        """Return the vectors of all codes `[R, D]`."""
        if not self.changes:
            return self.item_embedding.weight
        return self._changed_table() if self.table is None else self.table

    def _changed_table(self) -> Tensor:  # -> [R, D]
        weight = self.item_embedding.weight
        codes = torch.arange(len(weight), device=weight.device)                   # [R]
        if torch.is_grad_enabled():
            return self._changed(codes, weight)
        parts = zip(torch.split(codes, ROWS_AT_ONCE), torch.split(weight, ROWS_AT_ONCE), strict=True)
        return torch.cat([self._changed(*part) for part in parts])

    def _changed(self, codes: Tensor, vectors: Tensor) -> Tensor:  # [R], [R, D] -> [R, D]
        for change in self.changes:
            vectors = change(codes, vectors)
        return vectors
