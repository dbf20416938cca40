"""How a training ended: by itself, at its maximum number of epochs, or in vain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class End:
    """How the last round of a training ended.

    Attributes:
        epochs: epochs that were trained.
        best_epoch: the one whose weights are kept.
        cut_off: whether it ended at the maximum number of epochs, before validation said that it was enough.
        first: the first epoch that was trained; an update goes on behind that of the weights it begins with.
        before: epochs that the round before it has trained.
    """

    epochs: int
    best_epoch: int
    cut_off: bool
    first: int = 1
    before: int = 0

    @property
    def in_vain(self) -> bool:
        """Whether no epoch was better than the weights that it began with."""
        return self.best_epoch < self.first

    @property
    def trained(self) -> int:
        """Epochs that were trained in all."""
        return self.before + self.epochs - self.first + 1

    def __str__(self) -> str:
        if self.in_vain:
            better = "none was better than the weights as they were, which stay"
            return f"Training went on to epoch {self.epochs}; {better}."
        last = f"{self.epochs} of round 2" if self.before else f"{self.epochs}"
        if not self.cut_off:
            return f"Training stopped by itself after epoch {last}; epoch {self.best_epoch} was best."
        still = "was still getting better" if self.best_epoch == self.epochs else "might have got better again"
        return f"Training was cut off after epoch {last}; epoch {self.best_epoch} was best, and it {still}."


def end_of(history: list[dict[str, Any]], best_epoch: int, patience: int) -> End | None:
    """Return how a training ended; None where nothing was trained.

    Args:
        history: one record per epoch that was trained.
        best_epoch: the epoch of the last round whose weights are kept.
        patience: `training.patience`.
    """
    if not history:
        return None
    last = [record for record in history if record["round"] == history[-1]["round"]]
    stale = sum("validation" in record and record["epoch"] > best_epoch for record in last)
    first, before = last[0]["epoch"], len(history) - len(last)
    return End(last[-1]["epoch"], best_epoch, stale < patience, first, before)
