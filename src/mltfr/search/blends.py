"""A blend of a few of the runs, chosen greedily, and kept only if validation shows that it gains."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.evaluation import Evaluation, evaluate
from mltfr.evaluation.mixture import mixture_weights, target_probabilities
from mltfr.evaluation.significance import PairedTest, paired_test, per_user
from mltfr.pipeline import FittedModel
from mltfr.pipeline.blend import blend
from mltfr.storage.progress import Progress
from mltfr.training import Callback

MEMBERS = 5
"""Members of a blend, at most."""
CANDIDATES = 8
"""Runs that are thought of as members, at most, the best on validation."""
WORTH = 2.0
"""Log-likelihood of all validation targets that a further member has to bring: it costs a weight (AIC) and time."""
COST = 3.0
"""What weighing, scoring and timing a blend takes, a member, in times of scoring one on validation."""


@dataclass(frozen=True)
class Blended:
    """A blend and what it gains.

    Attributes:
        fitted: the blend, which is not scored on test.
        evaluation: its evaluation on validation.
        members: names of its runs.
        gain: against the best single run, user by user on validation.
        seconds: what it took.
    """

    fitted: FittedModel
    evaluation: Evaluation
    members: list[str]
    gain: PairedTest
    seconds: float

    @property
    def pays(self) -> bool:
        """Whether the interval of its gain excludes zero."""
        return self.gain.low > 0


def find_blend(
    runs: Mapping[str, FittedModel],
    best: Evaluation,
    metric: str,
    left: Callable[[], float],
    progress: Progress,
) -> Blended | None:
    """Return the blend that the greedy choice leads to; None where no member is worth adding, or time is too short.

    Forward selection (Caruana et al., ICML 2004) by what blends are weighted by, the likelihood of the validation
    targets: the metric has steps, and a search over it fits noise.

    Args:
        runs: fitted runs, the best on validation first; it begins with that one.
        best: the evaluation on validation of the best one.
        metric: by which the gain is measured.
        left: returns the seconds that are left.
        progress: receives what takes time.
    """
    begun = time.monotonic()
    first = next(iter(runs.values()), None)
    if first is None or not len(first.split.validation):
        return None
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for name, fitted in runs.items():
        seconds = (time.monotonic() - begun) / max(1, len(columns))
        if columns and left() < (1 + COST * min(MEMBERS, len(columns) + 1)) * seconds:
            break
        found = target_probabilities([fitted.model.scorer()], fitted.split, fitted.protocol(), progress)
        columns[name] = found[:, 0]
    scored = (time.monotonic() - begun) / len(columns)
    chosen = greedy(np.stack(list(columns.values()), axis=1))
    names = [list(columns)[place] for place in chosen]
    if len(names) < 2 or left() < COST * len(names) * scored:
        return None
    heard: list[Evaluation] = []

    def measure(blended: FittedModel, _: str | None) -> dict[str, Any]:
        heard.append(evaluate(blended.scorer(), blended.split, "validation", blended.protocol(), progress=progress))
        return {}

    fitted = blend({name: runs[name] for name in names}, measure=measure, callback=_Quiet(progress))
    gain = paired_test(per_user(heard[0], metric), per_user(best, metric))
    return Blended(fitted, heard[0], names, gain, time.monotonic() - begun)


def greedy(probabilities: npt.NDArray[np.float64]) -> list[int]:
    """Return which members a blend has, beginning with the first: each time the one under which targets gain most.

    Args:
        probabilities: `[N, M]`, of every target by every candidate.
    """
    chosen, reached = [0], _likelihood(probabilities[:, [0]])
    while len(chosen) < min(MEMBERS, probabilities.shape[1]):
        others = [place for place in range(probabilities.shape[1]) if place not in chosen]
        values = [_likelihood(probabilities[:, [*chosen, place]]) for place in others]
        best = int(np.argmax(values))
        if values[best] - reached < WORTH:
            break
        chosen.append(others[best])
        reached = values[best]
    return chosen


def _likelihood(probabilities: npt.NDArray[np.float64]) -> float:
    mixed = probabilities @ mixture_weights(probabilities)
    return float(np.log(np.maximum(mixed, np.finfo(np.float64).tiny)).sum())


class _Quiet(Callback):
    """Passes steps on, and no lines."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def start(self, task: str, total: int | None = None, done: int = 0) -> None:
        self.progress.start(task, total, done)

    def advance(self, steps: int = 1) -> None:
        self.progress.advance(steps)
