"""A run against another scorer: the difference of their scores, user by user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mltfr.evaluation import Evaluation
from mltfr.evaluation.bootstrap import is_real
from mltfr.evaluation.significance import paired_test, per_user


@dataclass(frozen=True)
class ScoreDifference:
    """A run against another scorer, on test; on validation against its zero and its constant branch.

    Attributes:
        name: the other one.
        score: its score.
        difference: mean over the users of the run's metric minus the other one's; one with several examples counts by
            their mean, as in `mltfr compare`.
        low: lower end of the 95 % bootstrap interval of that mean.
        high: its upper end.
        p: of the paired t-test; it decides (`is_real`), as in `mltfr compare`.
    """

    name: str
    score: float
    difference: float
    low: float
    high: float
    p: float

    @property
    def better(self) -> bool:
        """Whether the run is better, beyond what chance among the users explains."""
        return self.difference > 0 and is_real(self.p)

    @property
    def worse(self) -> bool:
        """Whether the run is worse, likewise."""
        return self.difference < 0 and is_real(self.p)

    def __str__(self) -> str:
        apart, real = self.low * self.high > 0, is_real(self.p)
        decides = "" if apart == real else f"; p = {self.p:.2g}" + (" decides" if real else ": too few users to tell")
        return f"95 % interval {self.low:+.4f} to {self.high:+.4f}{decides}"


def compare_scores(name: str, run: Evaluation | None, other: Evaluation | None, metric: str) -> ScoreDifference | None:
    """Return the paired comparison; None where one of them is, or a single user allows none."""
    if run is None or other is None or len(np.unique(run.user)) < 2:
        return None
    test = paired_test(per_user(run, metric), per_user(other, metric))
    return ScoreDifference(name, other.metrics[metric], test.difference, test.low, test.high, test.t_test)
