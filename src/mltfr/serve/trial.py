"""The trial of a run: its own held-out examples are ranked again, and must score what the run says that they scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mltfr.errors import RunError
from mltfr.evaluation import evaluate
from mltfr.serve.loaded import LoadedRun

MOST = 5000
"""Examples that are ranked; of more, a sample."""
ROUNDING = 1e-3
"""Difference of scores that rounding may make where ranks hang on the last bits, beside one whole example."""
ERRORS = 6.0
"""Standard errors by which the score of a sample may differ from that of all."""


@dataclass(frozen=True)
class Trial:
    """A trial that was passed.

    Attributes:
        examples: how many examples were ranked; 0 where the run holds none.
        scores: their scores, by metric.
    """

    examples: int
    scores: Mapping[str, float]

    def __str__(self) -> str:
        if not self.examples:
            return "no held-out examples to compare with"
        shown = ", ".join(f"{name} {self.scores[name]:.4f}" for name in ("ndcg@10", "hr@10") if name in self.scores)
        return f"{self.examples:,} held-out examples score as saved ({shown or 'all metrics'})"


def try_run(run: LoadedRun) -> Trial:
    """Rank the test examples that a run holds, at most `MOST` of them, and compare their scores with the saved ones.

    Raises:
        RunError: a score is another one: the weights, the data or the program are not those of the fit.
    """
    saved: Mapping[str, float] = run.fitted.metrics.get("metrics", {})
    fitted = run.fitted.for_test()
    if not saved or not len(fitted.split.test):
        return Trial(0, {})
    protocol = fitted.protocol()
    sampled = protocol.max_examples is None or protocol.max_examples > MOST
    if sampled:
        protocol = protocol.model_copy(update={"max_examples": MOST})
    found = evaluate(fitted.scorer(), fitted.split, "test", protocol)
    count = len(found.user)
    part = (sampled and count >= MOST) or run.alone
    for name in found.metrics.keys() & saved.keys():
        error = float(np.std(found.per_example[name]) / np.sqrt(count))
        allowed = ROUNDING + 1 / count + ERRORS * error * part
        if not abs(found.metrics[name] - saved[name]) <= allowed:
            raise RunError(
                f"{run.folder}: its {count:,} held-out examples score {name} {found.metrics[name]:.4f}, and the run "
                f"says {saved[name]:.4f}. Weights, data or program are not those of the fit: fit the run again."
            )
    return Trial(count, found.metrics)
