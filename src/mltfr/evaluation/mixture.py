"""The weights of a blend: those under which the validation targets are most probable, drawn towards equal ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mltfr.evaluation.asked import asked_targets, rules_of
from mltfr.evaluation.protocol import EvaluationProtocol
from mltfr.inference import BlendScorer, ProbabilityScorer
from mltfr.inference.top_k import scoring_batches
from mltfr.interactions import Split
from mltfr.storage.progress import SILENT, Progress

PRIOR = 20.0
"""Targets that every member is given beforehand: how strongly weights are drawn towards equal ones."""
TOLERANCE = 1e-9
"""Log-likelihood a target that the weights may fall short of the best ones."""
MOST_STEPS = 20_000
Values = npt.NDArray[np.float64]


def mixture_weights(probabilities: Values, prior: float = PRIOR) -> Values:
    """Return the weights of M members that make targets most probable, float64 `[M]`; they sum to one.

    `argmax_w sum_n log(sum_m w_m p_nm) + a sum_m log w_m` over the weights that sum to one: the log-likelihood of the
    mixture under a symmetric Dirichlet prior. It is concave, so that there is one maximum, and the EM algorithm
    (Dempster, Laird & Rubin 1977; for mixtures of predictors, Jelinek & Mercer 1980) finds it from equal weights:
    `w_m <- (a + sum_n w_m p_nm / sum_k w_k p_nk) / (N + a M)`. By concavity the objective falls short of the maximum by
    no more than `(N + a M) log max_m(new w_m / w_m)`, which says when to stop.

    Args:
        probabilities: p, `[N, M]`, of every target by every member; those that nobody thinks possible tell nothing.
        prior: a, in targets a member; 0 for the likelihood alone.
    """
    most = probabilities.max(axis=1, initial=0)                          # [N]
    known = probabilities[most > 0] / most[most > 0, None]               # [N, M], as small as they are
    members = probabilities.shape[1]
    weights = np.full(members, 1 / members)
    total = len(known) + prior * members
    if total == 0:
        return weights
    for _ in range(MOST_STEPS):
        shares = (known / (known @ weights)[:, None]).sum(0) * weights   # [M]
        better = (shares + prior) / total
        gap = np.log(np.max(better[weights > 0] / weights[weights > 0]))
        weights = better
        if gap < TOLERANCE:
            break
    return np.asarray(weights / weights.sum(), np.float64)


def target_probabilities(
    members: Sequence[ProbabilityScorer], data: Split, protocol: EvaluationProtocol, progress: Progress = SILENT
) -> Values:
    """Return how probable every member thinks the validation targets, float64 `[T, M]`.

    Targets that training has not seen, and those that are no candidates, are left out.

    Args:
        members: score all items.
        data: the log, split.
        protocol: which targets there are, and whether items of the history are candidates.
        progress: receives how many histories are read.
    """
    asked = asked_targets(data, "validation", protocol)
    histories = asked.histories(data, np.arange(len(asked.lengths)))
    order = np.argsort(asked.group, kind="stable")                       # targets, history by history
    counts = np.bincount(asked.group, minlength=len(histories))          # [E]
    starts = np.cumsum(counts) - counts
    found = np.zeros((len(asked), len(members)))
    progress.start("weighing the members", len(members) * len(histories))
    for column, member in enumerate(members):
        for batch in scoring_batches(BlendScorer([member], [1.0]), histories, rules_of(protocol)):
            scores = batch.scores(1, member.items + 1).cpu().numpy()     # [B, I], minus infinity for seen items
            several = counts[batch.index]                                # [B]
            rows = np.repeat(np.arange(len(batch.index)), several)
            place = np.arange(len(rows)) - np.repeat(np.cumsum(several) - several, several)
            which = order[starts[batch.index][rows] + place]
            codes = asked.targets[which]
            found[which, column] = np.where(codes > 0, scores[rows, np.maximum(codes, 1) - 1], -np.inf)
            progress.advance(len(batch.index))
    return found[(found > -np.inf).all(1)]
