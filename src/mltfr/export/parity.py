"""Parity: whether an exported model answers as the run does, measured on the run's own held-out users.

Sums of float32 depend on their order, so two programs agree up to rounding, and items whose scores rounding decides
may come in either order. So a list is the same if at every rank stands an item that the run itself scores within the
tolerance of the one that it has there, and if every score is within the tolerance of the run's score of that item.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from mltfr.errors import MltfrError
from mltfr.evaluation import SplitName
from mltfr.evaluation.asked import AskedTargets, asked_targets, rules_of
from mltfr.evaluation.metrics import rank_metrics
from mltfr.evaluation.ranks import MISS, Ranks
from mltfr.export.example import ExportedModel
from mltfr.inference import Rules, Scorer
from mltfr.inference.select import best_keys, unpack
from mltfr.inference.top_k import scoring_batches
from mltfr.interactions import History, evenly_spaced
from mltfr.interactions.collate import Codes
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import NeuralModel
from mltfr.storage.progress import SILENT, Progress

USERS = 1000
"""Held-out examples that are compared, at most, evenly spaced."""
BATCHES = (1, 2, 7, 64)
"""Held-out histories that go through the exported model together."""
OF_ONE_LENGTH = 8
"""Made-up histories of each length, which go through it together, since it may read as many codes as they have."""
ABSOLUTE, RELATIVE = 1e-4, 1e-5
"""What two scores may differ by: the larger one of a logit, and of a probability ten times the second."""
CUTOFF = 10
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Parity:
    """How an exported model's answers compare with the run's.

    Attributes:
        split: whose histories are compared: "test", or else "validation"; "users" where nothing is held out.
        users: how many histories.
        made_up: how many made-up histories besides, of all lengths up to beyond the longest one that is read.
        same_lists: how many of all these have the same list.
        largest_difference: the largest difference of two scores of one item.
        tolerance: the difference that was allowed, where it was least.
        metric: name of what the lists are measured by.
        exported: the metric of the exported model's lists; None where nothing is held out.
        run: that of the run's lists.
    """

    split: str
    users: int
    made_up: int
    same_lists: int
    largest_difference: float
    tolerance: float
    metric: str
    exported: float | None = None
    run: float | None = None

    @property
    def holds(self) -> bool:
        """Whether all lists are the same."""
        return self.same_lists == self.users + self.made_up

    def to_json(self) -> dict[str, Any]:
        """Return the document of `parity.json`."""
        return asdict(self)

    def __str__(self) -> str:
        lists = f"{self.same_lists:,} of {self.users + self.made_up:,} lists are the same"
        return f"{lists}, scores differ by {self.largest_difference:.1e} at most"


def measure_parity(fitted: FittedModel, exported: ExportedModel, progress: Progress = SILENT) -> Parity:
    """Compare an exported model, as it was written, with the run.

    Args:
        fitted: the run.
        exported: the model of the folder.
        progress: receives how many histories are compared.

    Raises:
        MltfrError: the exported model cannot be run.
    """
    scorer, rules = fitted.scorer(), rules_of(fitted.protocol())
    split, asked, rows = _held_out(fitted)
    histories = asked.histories(fitted.split, rows) if asked is not None else [fitted.split.histories[n] for n in rows]
    made_up, denied = _made_up(fitted)
    progress.start("comparing", len(histories) + len(made_up))
    probabilities = not isinstance(fitted.model, NeuralModel) and len(exported.items) > 1
    compared = [
        _compare(scorer, exported, histories, BATCHES, rules, probabilities, progress),
        _compare(scorer, exported, made_up, (OF_ONE_LENGTH,), Rules(deny=denied), probabilities, progress),
    ]
    metric, found = f"ndcg@{min(CUTOFF, exported.k)}", {}
    if asked is not None:
        of = np.searchsorted(rows, asked.group)  # rows ascend
        mine = np.flatnonzero((of < len(rows)) & (rows[np.minimum(of, len(rows) - 1)] == asked.group))
        targets = asked.targets[mine]
        for name, lists in (("exported", compared[0].theirs), ("run", compared[0].ours)):
            found[name] = _ndcg(lists[of[mine]], targets, min(CUTOFF, exported.k))
    return Parity(
        split, len(histories), len(made_up), sum(int(each.same.sum()) for each in compared),
        max(each.difference for each in compared), min(each.tolerance for each in compared), metric, **found,
    )  # fmt: skip


@dataclass(frozen=True)
class _Compared:
    """Lists of both, int64 `[U, k]`, which of them are the same, and by how much scores differ."""

    theirs: Codes
    ours: Codes
    same: npt.NDArray[np.bool_]
    difference: float
    tolerance: float


def _compare(
    scorer: Scorer,
    exported: ExportedModel,
    histories: Sequence[History],
    sizes: Sequence[int],
    rules: Rules,
    probabilities: bool,
    progress: Progress,
) -> _Compared:
    theirs, their_scores = _answers(exported, histories, sizes, rules, progress)
    ours = np.zeros_like(theirs)
    same = np.zeros(len(theirs), np.bool_)
    difference, allowed = 0.0, np.inf
    for batch in scoring_batches(scorer, histories, rules):
        scores = batch.scores(1, scorer.items + 1)                       # [B, I]
        codes, best = (part.cpu().numpy() for part in unpack(best_keys(scores, 1, theirs.shape[1])))  # [B, k] each
        answered, given = theirs[batch.index], their_scores[batch.index]
        listed = best > -np.inf
        ours[batch.index] = np.where(listed, codes, 0)
        own = np.take_along_axis(scores.cpu().numpy(), np.maximum(answered, 1) - 1, axis=1)  # the run's of their items
        with np.errstate(invalid="ignore"):
            off = np.where(listed, np.maximum(abs(own - best), abs(own - given)), 0.0)
        off[(answered > 0) != listed] = np.inf
        tolerance = _tolerance(best, probabilities)                      # [B, 1]
        same[batch.index] = (np.nan_to_num(off, nan=np.inf) <= tolerance).all(1)
        same[batch.index] &= [len(set(row)) == len(row) for row in (line[line > 0].tolist() for line in answered)]
        difference = max(difference, float(off.max(initial=0)))
        allowed = min(allowed, float(tolerance.min(initial=np.inf)))
    return _Compared(theirs, ours, same, difference, allowed)


def _tolerance(best: Scores, probabilities: bool) -> Scores:  # [B, k] -> [B, 1]
    largest = abs(np.where(best > -np.inf, best, 0)).max(1, keepdims=True)
    return 10 * RELATIVE * largest if probabilities else np.maximum(ABSOLUTE, RELATIVE * largest)


def _answers(
    exported: ExportedModel, histories: Sequence[History], sizes: Sequence[int], rules: Rules, progress: Progress
) -> tuple[Codes, Scores]:
    """Return the exported model's codes and scores, `[U, k]` each, in batches of several sizes."""
    codes: list[list[int]] = []
    scores: list[list[float]] = []
    for some in _batches(len(histories), sizes):
        given = [[code for code in histories[number].tolist() if code > 0] for number in some]
        seen = given if rules.remove_seen else [[] for _ in given]
        try:
            found = exported.answer(given, [[*rules.deny, *row] for row in seen])
        except Exception as error:
            raise MltfrError(f"The exported model cannot be run: {' '.join(str(error).split())[:300]}") from error
        codes += found[0]
        scores += found[1]
        progress.advance(len(given))
    shape = len(histories), exported.k
    return np.array(codes, np.int64).reshape(shape), np.array(scores, np.float32).reshape(shape)


def _batches(count: int, sizes: Sequence[int]) -> Iterator[range]:
    start = 0
    for size in cycle(sizes):
        if start >= count:
            return
        yield range(start, min(start + size, count))
        start += size


def _held_out(fitted: FittedModel) -> tuple[str, AskedTargets | None, Codes]:
    """Return what is compared: the name, the targets, and which of their examples, or users where none are held out."""
    for name in reversed(get_args(SplitName)):
        asked = asked_targets(fitted.split, name, fitted.protocol())
        if len(asked):
            return name, asked, evenly_spaced(len(asked.lengths), USERS)
    return "users", None, evenly_spaced(len(fitted.split.histories), USERS)


def _made_up(fitted: FittedModel) -> tuple[list[History], list[int]]:
    """Return histories of all lengths that may matter, and codes that are no candidates."""
    random, items = np.random.default_rng(0), len(fitted.split.vocabulary)
    longest = max(config.backbone.max_length for config in fitted.config.singles)  # type: ignore[union-attr]
    lengths = np.repeat(sorted({0, 1, 2, max(1, longest - 1), longest, longest + 3}), OF_ONE_LENGTH)
    histories = [random.integers(1, items + 1, length).astype(np.int32) for length in lengths]
    denied = random.choice(items, min(3, items - 1), replace=False) + 1
    return histories, denied.tolist()


def _ndcg(lists: Codes, targets: npt.NDArray[np.int32], cutoff: int) -> float:
    """Return NDCG of lists `[T, k]` whose targets `[T]` are held out."""
    hit = lists[:, :cutoff] == targets[:, None]                          # [T, cutoff]
    place = np.where(hit.any(1), hit.argmax(1), MISS).astype(np.int64)
    (values,) = rank_metrics(Ranks(place, np.zeros_like(place)), ("ndcg",), (cutoff,)).values()
    return float(values.mean())
