"""Rank targets among all candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mltfr.inference import Rules, Scorer, TopK
from mltfr.inference.select import best_keys, check_numbers
from mltfr.inference.top_k import scoring_batches
from mltfr.interactions.collate import History
from mltfr.storage.progress import SILENT, Progress

MISS = np.iinfo(np.int32).max
"""Number of items before a target that is no candidate: it is never among the first k."""
LANES = 128
"""Flags whose sum fits a byte."""


@dataclass(frozen=True)
class Ranks:
    """The target's rank in every example, by what comes before it.

    Attributes:
        higher: int64 `[E]`, candidates that score higher than the target; `MISS` if it is no candidate.
        tied: int64 `[E]`, other candidates with exactly the target's score.
    """

    higher: npt.NDArray[np.int64]
    tied: npt.NDArray[np.int64]


def rank_targets(
    scorer: Scorer,
    histories: Sequence[History],
    targets: npt.NDArray[np.integer],
    rules: Rules,
    *,
    of: npt.NDArray[np.int64] | None = None,
    lists: int = 0,
    progress: Progress = SILENT,
) -> tuple[Ranks, TopK]:
    """Rank every target among all items, and keep the first `lists` items of every history besides.

    A batch is scored against all items at once, so that the target's score is one of the scores it is
    compared with: computed apart, rounding could put a target before or behind itself.

    Args:
        scorer: scores the items.
        histories: what the targets are predicted from.
        targets: codes `[E]`; a target that is `UNKNOWN`, or that the rules forbid, is a miss.
        rules: which items are candidates.
        of: whose target each is, `[E]`, as a position in `histories`; by default every history has one, in order.
        lists: length of the top lists; 0 for none.
        progress: advanced by every batch's targets.

    Raises:
        MltfrError: a score is not a number.
    """
    of = np.arange(len(histories)) if of is None else of
    by_history, counts = np.argsort(of, kind="stable"), np.bincount(of, minlength=len(histories))
    starts = np.cumsum(counts) - counts
    ranks = Ranks(np.full(len(targets), MISS, np.int64), np.zeros(len(targets), np.int64))
    top = TopK.empty(len(histories), lists)
    for batch in scoring_batches(scorer, histories, rules):
        with torch.inference_mode():
            scores = batch.scores(1, scorer.items + 1)                   # [B, I]
            for number in range(counts[batch.index].max()):              # the first target of each, the second, ...
                rows = np.flatnonzero(counts[batch.index] > number)
                which = by_history[starts[batch.index[rows]] + number]
                target = torch.from_numpy(np.asarray(targets[which], np.int64))
                asked = scores if len(rows) == len(scores) else scores[torch.from_numpy(rows).to(scores.device)]
                higher, tied = _count(asked, target.to(scores.device))   # [rows], [rows]
                ranks.higher[which] = higher.cpu().numpy()
                ranks.tied[which] = tied.cpu().numpy()
            if lists:
                top.fill(batch.index, best_keys(scores, 1, lists))
        progress.advance(int(counts[batch.index].sum()))
    return ranks, top


def _count(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Count the higher and the other equal scores of every row, int32 `[B]` each."""
    target = scores.gather(1, (targets.clamp(min=1) - 1).unsqueeze(1))   # [B, 1]
    check_numbers(target)
    batch, items = scores.shape
    flags = torch.zeros(batch, -(-items // LANES) * LANES, dtype=torch.bool, device=scores.device)
    torch.gt(scores, target, out=flags[:, :items])
    higher = _true_per_row(flags)                                        # [B]
    torch.ge(scores, target, out=flags[:, :items])
    at_least = _true_per_row(flags)                                      # [B], the target among them
    miss = (targets < 1) | (target.squeeze(1) == -torch.inf)
    return higher.masked_fill(miss, MISS), (at_least - higher - 1).masked_fill(miss, 0)


def _true_per_row(flags: Tensor) -> Tensor:
    """Count the True of every row, int32 `[B]`, of flags `[B, n * LANES]`.

    Bytes are summed as bytes first: summed into wider numbers at once, all flags would be copied as such.
    """
    lanes = flags.view(torch.uint8).view(len(flags), -1, LANES)          # [B, n, LANES]
    return lanes.sum(2, dtype=torch.uint8).sum(1, dtype=torch.int32)
