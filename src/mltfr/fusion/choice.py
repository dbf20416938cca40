"""What the choice of kept tokens needs of one table, whoever chooses."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from mltfr.fusion.shortlist import Shortlist


class TokenChoice(nn.Module, ABC):
    """One table's part of the choice. What works on all tables at once is a `ByTable` of them."""

    shortlist: Shortlist
    """The tokens that can be kept."""

    @abstractmethod
    def refresh(self, queries: Tensor) -> float:
        """Choose the shortlist again, and return the share of the old one that stays.

        Args:
            queries: unit queries of training users `[Q, D]`.
        """

    @abstractmethod
    def set_progress(self, epochs: float) -> None:
        """Say how many epochs of the round are done, with fractions."""

    @abstractmethod
    def diagnostics(self) -> dict[str, float]:
        """Return what is worth logging of the state as it is, by quantity."""
