"""Scorers: what scores items for histories, a model or a baseline, and popularity where nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mltfr.interactions.collate import History, has_known_item, pad_right_aligned
from mltfr.kernels.products import large_products, products_of_width
from mltfr.model import SequentialModel

BLOCK_ITEMS = 2048
"""Items of one matrix product on a CPU: their vectors, and the scores of a batch, stay in its cache."""


class Scorer(Protocol):
    """Scores all items for a batch of histories, a range of items at a time.

    The two steps are apart so that a history is read once, however many ranges of items follow.
    """

    @property
    def items(self) -> int:
        """Number of items I; codes are 1..I."""

    def queries(self, histories: Sequence[History]) -> Any:
        """Return what `scores` needs to know of B histories; only this scorer looks into it."""

    def scores(self, queries: Any, start: int, stop: int) -> Tensor:
        """Return float32 scores `[B, stop - start]` of the item codes `start` to `stop - 1`.

        The tensor is the caller's to write into, in inference mode.
        """


class ModelScorer:
    """Scores by a sequential model.

    It holds what follows from the weights as they are now, and nothing that scoring changes, so that threads may share
    it: after the weights have changed, make a new scorer. The model is put into evaluation mode.
    A history without a known item scores every item 0; see `FallbackScorer`.

    Args:
        model: the recommender's network, already on `device`.
        device: where batches are sent.
        fused: whether the fusion corrects the hidden states; without it, scores are those of the zero branch.

    Attributes:
        vectors: float32 `[I + 1, D]`, what hidden states are compared with; row 0 is padding.
    """

    def __init__(
        self, model: SequentialModel, device: torch.device | str = "cpu", *, fused: bool = True
    ) -> None:
        self.model = model.eval()
        self.fused = fused
        self.device = torch.device(device)
        # BERT4Rec appends a mask token, which takes one position.
        self.max_length = model.backbone.max_length - int(model.mask_token is not None)
        self._modules = list(model.modules())
        with torch.no_grad():
            self.prepared = model.prepare(fused)
            self.vectors = model.scoring_matrix(self.prepared).detach().float()       # [I + 1, D]
        self._tensors = [*model.parameters(), *model.buffers()]
        self._made_from = self._version()

    @property
    def items(self) -> int:
        """Number of items I."""
        return self.model.items

    def is_current(self) -> bool:
        """Return whether the model's weights are still those that this scorer was made from, and none is trained."""
        return self._version() == self._made_from and not self._in_training()

    def queries(self, histories: Sequence[History]) -> Tensor:
        """Return the hidden state that scores the next item, float32 `[B, D]`.

        Raises:
            RuntimeError: the model has been put into training mode, in which scores would be drawn by chance.
        """
        if self._in_training():
            raise RuntimeError("The model is in training mode. Make a new scorer, which puts it into evaluation mode.")
        batch = torch.from_numpy(pad_right_aligned(histories, self.max_length))  # [B, L]
        empty = batch[:, -1] == 0                                        # [B]
        with torch.inference_mode(), products_of_width(self.vectors.shape[1] if len(histories) > 1 else 0):
            hidden = self.model.user_embedding(batch.to(self.device), self.prepared, self.fused).float()  # [B, D]
            if empty.any():  # attention over padding alone is not defined
                hidden[empty.to(self.device)] = 0
        return hidden

    def scores(self, queries: Tensor, start: int, stop: int) -> Tensor:
        """Return the inner products with item vectors, float32 `[B, stop - start]`."""
        with torch.inference_mode():
            vectors = self.vectors[start:stop]                           # [C, D]
            if len(queries) < 2 or self.device.type != "cpu":
                return queries @ vectors.T                               # [B, C]
            scores = queries.new_empty(len(queries), len(vectors))       # [B, C]
            with large_products(len(queries)):
                for first in range(0, len(vectors), BLOCK_ITEMS):
                    block = slice(first, first + BLOCK_ITEMS)
                    torch.mm(queries, vectors[block].T, out=scores[:, block])
            return scores

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return the softmax of the scores of all items, float32 `[B, I]`, in their place."""
        exponentials = scores.sub_(scores.amax(1, keepdim=True)).exp_()      # [B, I]
        return exponentials.div_(exponentials.sum(1, keepdim=True))

    def _in_training(self) -> bool:
        return any(module.training for module in self._modules)

    def _version(self) -> tuple[int, int]:
        """Return where the item vectors lie, and how often any weight was written to."""
        return self.model.item_embedding.weight.data_ptr(), sum(tensor._version for tensor in self._tensors)


class FallbackScorer:
    """Scores by one scorer, and by another where a history has no known item.

    Args:
        scorer: scores every history with a known item.
        fallback: scores the others; popularity, usually.

    Raises:
        ValueError: the two know different numbers of items.
    """

    def __init__(self, scorer: Scorer, fallback: Scorer) -> None:
        if scorer.items != fallback.items:
            raise ValueError(f"The scorer knows {scorer.items} items, its fallback {fallback.items}.")
        self.scorer = scorer
        self.fallback = fallback

    @property
    def items(self) -> int:
        """Number of items I."""
        return self.scorer.items

    def queries(self, histories: Sequence[History]) -> tuple[Any, Any, Tensor]:
        """Return the scorer's queries, and the fallback's of the histories without a known item, with their rows."""
        rows = np.flatnonzero(~has_known_item(histories))                # [F]
        unknown = [histories[row] for row in rows.tolist()]
        fallback = self.fallback.queries(unknown) if unknown else None
        return self.scorer.queries(histories), fallback, torch.from_numpy(rows)

    def scores(self, queries: tuple[Any, Any, Tensor], start: int, stop: int) -> Tensor:
        """Return float32 scores `[B, stop - start]`."""
        main, fallback, rows = queries
        scores = self.scorer.scores(main, start, stop)
        if len(rows):
            with torch.inference_mode():
                replaced = self.fallback.scores(fallback, start, stop)   # [F, stop - start]
                scores[rows.to(scores.device)] = replaced.to(scores.device)
        return scores
