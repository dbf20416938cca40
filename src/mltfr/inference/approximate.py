"""Top lists out of an approximate index, under rules that hold exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mltfr.inference.ann import ItemIndex
from mltfr.inference.rules import Rules
from mltfr.inference.scorer import ModelScorer, Scorer
from mltfr.inference.select import pack
from mltfr.inference.top_k import Progress, TopK, empty_top_k, fill_top_k, top_k
from mltfr.interactions.collate import Codes, History, has_known_item, known_items, length_sorted_batches

MOST = 4096
"""Items fetched for a history; where more would be needed, everything is scored instead."""


@dataclass(frozen=True)
class IndexReport:
    """What an approximate answer was worth.

    Attributes:
        k: length of the lists.
        histories: how many lists were compared with exact ones.
        recall: share of the items of the exact lists that are in the approximate ones.
    """

    k: int
    histories: int
    recall: float


def approximate_top_k(
    index: ItemIndex,
    model: ModelScorer,
    scorer: Scorer,
    histories: Sequence[History],
    k: int,
    rules: Rules,
    *,
    progress: Progress | None = None,
) -> TopK:
    """Return about the k best items of every history; none that the rules forbid, and as many as exactly.

    More are fetched than wanted, and what the rules forbid is dropped. A history that has too few left, or no
    known item, is scored in full.

    Args:
        index: of the model's item vectors.
        model: reads the histories.
        scorer: scores in full.
        histories: item codes, oldest first.
        k: how many items a history gets at most.
        rules: which items are candidates.
        progress: told after every batch.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    items = scorer.items
    k = min(k, items)
    blocked = rules.blocked(items)
    forbidden = None if blocked is None else blocked.numpy()
    free = 1.0 if forbidden is None else float(1 - forbidden[1:].mean())
    result = empty_top_k(len(histories), k)
    left: list[Codes] = [np.flatnonzero(~has_known_item(histories))]
    served = np.flatnonzero(has_known_item(histories))
    done = 0
    for batch in length_sorted_batches([histories[row] for row in served.tolist()], 256):
        rows = served[batch]
        given = [histories[row] for row in rows.tolist()]
        longest = max(len(history) for history in given) if rules.remove_seen else 0
        fetch = int((k + longest) / free * 1.25) + 1 if free > 0 else items + 1
        if fetch > min(MOST, items):
            left.append(rows)
            continue
        with torch.inference_mode():
            keys, enough = _search(index, model, given, fetch, k, rules, forbidden)
            fill_top_k(result, rows[enough], keys[torch.from_numpy(enough)])
        left.append(rows[~enough])
        done += int(enough.sum())
        if progress is not None:
            progress(done, len(histories))
    rest = np.concatenate(left)
    if len(rest):
        exact = top_k(scorer, [histories[row] for row in rest.tolist()], k, rules)
        result.codes[rest], result.scores[rest], result.counts[rest] = exact.codes, exact.scores, exact.counts
    if progress is not None and done < len(histories):
        progress(len(histories), len(histories))
    return result


def _search(
    index: ItemIndex,
    model: ModelScorer,
    histories: Sequence[History],
    fetch: int,
    k: int,
    rules: Rules,
    forbidden: npt.NDArray[np.bool_] | None,
) -> tuple[torch.Tensor, npt.NDArray[np.bool_]]:
    """Return keys `[B, k]`, best first, and which histories have k candidates, bool `[B]`."""
    scores, codes = index.search(model.queries(histories), fetch)          # [B, fetch], [B, fetch]
    drop = codes == 0
    if forbidden is not None:
        drop |= forbidden[codes]
    if rules.remove_seen:
        rows, seen = known_items(histories)
        width = model.items + 1
        found = np.arange(len(histories))[:, None] * width + codes
        drop |= np.isin(found, rows * width + seen)
    scores[drop] = -np.inf
    keys = pack(torch.from_numpy(scores), torch.from_numpy(codes)).topk(k).values
    return keys, (~drop).sum(1) >= k


def recall(approximate: TopK, exact: TopK) -> IndexReport:
    """Compare approximate lists with the exact ones of the same histories."""
    pairs = zip(approximate.codes, exact.codes, exact.counts, strict=True)
    found = sum(len(np.intersect1d(ours[:count], true[:count])) for ours, true, count in pairs)
    return IndexReport(exact.codes.shape[1], len(exact.counts), found / max(1, int(exact.counts.sum())))
