"""What a run's fusion brings: the run on validation, against the same model without it or with a constant in its place.

Both branches are scorings of the fitted model, without a second training. Test has no say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mltfr.evaluation import Evaluation
from mltfr.pipeline.score_difference import ScoreDifference, compare_scores

ZERO, CONSTANT = "zero_branch", "constant_branch"
"""The branches' names in `metrics.json`."""


@dataclass(frozen=True)
class Branches:
    """A run against its zero branch and its constant branch, on validation.

    Attributes:
        score: the run's validation score.
        zero: against the same model without its fusion's correction.
        constant: against the same model with the mean of that correction in its place; None where the correction is
            a constant as it is.
    """

    score: float
    zero: ScoreDifference
    constant: ScoreDifference | None = None

    @property
    def harms(self) -> bool:
        """Whether the model is better without the fusion."""
        return self.zero.worse

    @property
    def gains(self) -> bool:
        """Whether the fusion brings something that a constant does not."""
        return self.zero.better and (self.constant is None or self.constant.better)

    @property
    def is_a_constant(self) -> bool:
        """Whether the fusion brings something, and no more that shows than a constant does."""
        return self.zero.better and not self.gains

    def in_words(self, fusion: str, metric: str) -> str:
        """Return one sentence for both.

        Args:
            fusion: name of the fusion.
            metric: what was compared.
        """
        does = "helps" if self.gains else "harms" if self.harms else "brings nothing that shows"
        does = "helps, but not visibly more than a constant" if self.is_a_constant else does
        numbers = f"validation {metric} {self.score:.4f}, without it {_against(self.zero)}"
        if self.constant is not None:
            numbers += f", with a constant in its place {_against(self.constant)}"
        return f"Fusion {fusion} {does} on this log: {numbers}."


def compare_branches(run: Evaluation | None, branches: Mapping[str, Evaluation], metric: str) -> Branches | None:
    """Return what a fusion brings; None without a fusion, without a validation split, or with a single user of it.

    Args:
        run: the run's evaluation on validation.
        branches: those of its branches, by `ZERO` and `CONSTANT`.
        metric: what is compared.
    """
    zero, constant = (compare_scores(name, run, branches.get(name), metric) for name in (ZERO, CONSTANT))
    return Branches(run.metrics[metric], zero, constant) if run is not None and zero is not None else None


def _against(other: ScoreDifference) -> str:
    return f"{other.score:.4f} (difference {other.difference:+.4f} a user, {other})"
