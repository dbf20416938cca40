"""A blend of a few of the runs, chosen greedily, and kept only if validation shows that it gains."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.evaluation import Evaluation, evaluate
from mltfr.evaluation.mixture import mixture_weights
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
        fitted: the blend, which is not scored on test; None where it does not pay.
        evaluation: its evaluation on validation.
        members: names of its runs.
        gain: against the best single run, user by user on validation.
        seconds: what it took.
    """

    fitted: FittedModel | None
    evaluation: Evaluation
    members: list[str]
    gain: PairedTest
    seconds: float


def find_blend(
    runs: Mapping[str, Path],
    first: FittedModel,
    best: Evaluation,
    probabilities: Callable[[str], npt.NDArray[np.float64]],
    metric: str,
    left: Callable[[], float],
    progress: Progress,
) -> Blended | None:
    """Return the blend that the greedy choice leads to; None where no member is worth adding, or time is too short.

    Forward selection (Caruana et al., ICML 2004) by what blends are weighted by, the likelihood of the validation
    targets: the metric has steps, and a search over it fits noise.

    Args:
        runs: run folders by name, the best on validation first; it begins with that one.
        first: the fitted model of the best one.
        best: its evaluation on validation.
        probabilities: returns the probability `[N]` of every validation target by a run's name.
        metric: by which the gain is measured.
        left: returns the seconds that are left.
        progress: receives what takes time.
    """
    begun = time.monotonic()
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for name in runs:
        seconds = (time.monotonic() - begun) / max(1, len(columns))
        if columns and left() < (1 + COST * min(MEMBERS, len(columns) + 1)) * seconds:
            break
        columns[name] = probabilities(name)
    scored = (time.monotonic() - begun) / len(columns)
    names = [list(columns)[place] for place in greedy(np.stack(list(columns.values()), axis=1))]
    if len(names) < 2 or left() < COST * len(names) * scored:
        return None
    heard: list[Evaluation] = []

    def measure(blended: FittedModel, _: str | None) -> dict[str, Any]:
        heard.append(evaluate(blended.scorer(), blended.split, "validation", blended.protocol(), progress=progress))
        return {}

    members: dict[str, FittedModel | Path] = {names[0]: first, **{name: runs[name] for name in names[1:]}}
    fitted = blend(members, measure=measure, callback=Quiet(progress))
    gain = paired_test(per_user(heard[0], metric), per_user(best, metric))
    kept = fitted if gain.low > 0 else None  # its interval excludes zero
    return Blended(kept, heard[0], names, gain, time.monotonic() - begun)


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


class Quiet(Callback):
    """Passes steps on, and no lines."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def start(self, task: str, total: int | None = None, done: int = 0) -> None:
        """Pass on that a task begins."""
        self.progress.start(task, total, done)

    def advance(self, steps: int = 1) -> None:
        """Pass on that some steps are done."""
        self.progress.advance(steps)
