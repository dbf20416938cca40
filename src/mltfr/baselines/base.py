"""What a baseline is: a scorer from counts or a closed form, without training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from torch import Tensor

from mltfr.config import ComponentConfig
from mltfr.config.registry import Registry
from mltfr.errors import ConfigError
from mltfr.interactions import Histories, History

Counts = npt.NDArray[np.int64]
"""Training interactions of every item code, `[I + 1]`; 0 at padding."""


BACKOFF = 0.01
"""Probability that does not follow the scores, where a baseline scores most items zero: see `shares`."""


class BaselineConfig(ComponentConfig):
    """Settings of a baseline."""


@dataclass(frozen=True)
class Parts:
    """What a score is the sum of: a part of every item of a history, and a base that none of them has a part in.

    Attributes:
        items: codes of the history's items that have a part, each once, int64 `[N]`.
        values: their parts in the scores of C items, float32 `[N, C]`.
        base: what is left without them, float32 `[C]`.
    """

    items: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    base: npt.NDArray[np.float32]


class Baseline(ABC):
    """Scores items by counts of the training split, or by what is solved from it: a `Scorer`.

    It consists of its settings and its state, a few named tensors: built from both, it scores as it did when it was
    fitted. Item codes are 1..I outside; matrices inside have I rows and columns and no padding.

    Args:
        config: the settings.
        state: what `state_of` returned, or `state_dict` of an equal one.

    Raises:
        KeyError, ValueError: `state` is not such a state.
    """

    unit: ClassVar[str] = "score"
    """What a score counts, in a word or two."""
    reads_names: ClassVar[bool] = False
    """Whether it is made from the words of items' names, which `fit` is then given."""

    def __init__(self, config: BaselineConfig, state: Mapping[str, Tensor]) -> None:
        self._state = dict(state)

    @classmethod
    @abstractmethod
    def state_of(cls, config: Any, histories: Histories, counts: Counts) -> dict[str, Tensor]:
        """Return the state that the training split gives; the same data give the same state.

        Args:
            config: the settings.
            histories: the training split, and nothing else.
            counts: int64 `[I + 1]`, training interactions of every code.

        Raises:
            ConfigError: the settings do not suit this data or this machine.
        """

    @classmethod
    def fit(cls, config: BaselineConfig, histories: Histories, counts: Counts, words: csr_array | None = None) -> Self:
        """Return a fitted baseline; arguments and errors are those of `state_of`.

        One that `reads_names` takes the weight of every word of every item too, `[I, U]`, sparse; others ignore it.
        """
        return cls(config, cls.state_of(config, histories, counts))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors that `__init__` takes."""
        return dict(self._state)

    @property
    @abstractmethod
    def items(self) -> int:
        """Number of items I."""

    @abstractmethod
    def queries(self, histories: Sequence[History]) -> Any:
        """Return what `scores` needs to know of B histories; unknown items in them count for nothing."""

    @abstractmethod
    def scores(self, queries: Any, start: int, stop: int) -> Tensor:
        """Return finite float32 scores `[B, stop - start]` of the item codes `start` to `stop - 1`.

        The tensor is the caller's to write into.
        """

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return how probable each item is to come next, from the scores of all, float32 `[B, I]`; rows sum to one.

        By default an item has its share of the squared scores above zero, and all items share the `BACKOFF` evenly. A
        baseline whose scores are probabilities already, or counts, returns their shares alone.

        Args:
            scores: `scores(queries, 1, I + 1)`, `[B, I]`, which may be written into.
        """
        return shares(scores, torch.full_like(scores[:1], 1 / self.items))

    @property
    def window(self) -> int | None:
        """How many known items of a history, from its end, are read; None for all."""
        return None

    def parts(self, history: History, codes: npt.NDArray[np.int64]) -> Parts | None:
        """Return what the scores of some items are the sum of; None where they are no sum over the history's items.

        Args:
            history: item codes, oldest first.
            codes: codes of C items, int64 `[C]`.
        """
        return None

    def scorer(self) -> Self:
        """Return the baseline: it scores itself."""
        return self

    def zero_branch(self) -> None:  # noqa: B027  # for all baselines alike
        """Return None: there are no hidden states that a fusion could correct."""

    def item_similarity(self, codes: Tensor) -> Tensor:
        """Return the similarity of some items to all items, float32 `[N, I]`.

        It is minus infinity where the baseline has no weight.

        Raises:
            ConfigError: this baseline has no similarity of items.
        """
        weights = self.similarity(codes)                                 # [N, I]
        return weights.masked_fill(weights == 0, -torch.inf)

    def similarity(self, codes: Tensor) -> Tensor:
        """Return the weights of some items, int64 `[N]`, for all others, float32 `[N, I]`; zero for none.

        Raises:
            ConfigError: this baseline has no similarity of items.
        """
        raise ConfigError(
            f"{type(self).__name__} has no similarity of items. "
            "Fit item-knn, name-knn, ease, ease-recent or a backbone such as sasrec to have similar items."
        )


def shares(scores: Tensor, rest: Tensor) -> Tensor:  # [B, I], [1, I] -> [B, I]
    """Return every item's share of its row's squared scores above zero, mixed with probabilities that all rows share.

    `(1 - b) s_i^2 / sum_j s_j^2 + b r_i` over the scores above zero, with b the `BACKOFF`: no item is impossible, and
    where no score is above zero `r` stands alone. Sums of similarities are flatter than probabilities are; squares are
    about as peaked as a network's softmax.

    Args:
        scores: of all items; written into.
        rest: r, which sums to one.
    """
    positive = scores.clamp_(min=0).square_()
    total = positive.sum(1, keepdim=True)                                # [B, 1]
    share = torch.where(total > 0, (1 - BACKOFF) / total, 0)             # [B, 1]
    return positive.mul_(share).addcmul_(torch.where(total > 0, BACKOFF, 1.0), rest)


BASELINES: Registry[Baseline, BaselineConfig] = Registry("baseline", "mltfr.baselines")
register_baseline = BASELINES.register
