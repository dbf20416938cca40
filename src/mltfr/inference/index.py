"""An approximate index of item vectors (faiss, of the extra `ann`), and top lists from it under exact rules."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mltfr.errors import MissingExtraError
from mltfr.inference.rules import Rules
from mltfr.inference.scorer import ModelScorer, Scorer
from mltfr.inference.select import pack
from mltfr.inference.top_k import TopK, top_k
from mltfr.interactions.collate import Codes, History, has_known_item, known_items, length_sorted_batches
from mltfr.storage.files import atomic_file, read_json, sha256, write_json
from mltfr.storage.folder import is_intact
from mltfr.storage.progress import SILENT, Progress

INDEX, FACTS = "index.faiss", "index.json"
"""Files of the index in a run folder."""
FORMAT = 1
PROBED = 1 / 16
"""Share of the lists that a search reads."""
MAX_FETCH = 4096
"""Items fetched for a history; where more would be needed, all items are scored instead."""
_TRAINED = 64
"""Item vectors a list that the lists' centres are found from."""


@dataclass(frozen=True)
class IndexReport:
    """How much of the exact lists an approximate index finds.

    Attributes:
        k: length of the lists.
        histories: how many lists were compared with exact ones.
        recall: share of the items of the exact lists that are in the approximate ones.
    """

    k: int
    histories: int
    recall: float


class ItemIndex:
    """Item vectors in lists around centres, of which a search reads the nearest (inverted file, IVF).

    The vectors themselves are in the lists, so scores are exact inner products; only items in lists that
    are not read can be missed. The same vectors give the same index.

    Args:
        index: the faiss index; ids are item codes.
        fingerprint: of the vectors it was made from.
    """

    def __init__(self, index: Any, fingerprint: str) -> None:
        self._index = index
        self.fingerprint = fingerprint
        index.nprobe = max(1, round(index.nlist * PROBED))

    @classmethod
    def build(cls, vectors: Tensor) -> Self:
        """Return the index of float32 vectors `[I + 1, D]`; row 0 is padding and left out.

        Raises:
            MissingExtraError: faiss is not installed.
        """
        faiss = _faiss()
        rows = np.ascontiguousarray(vectors[1:].numpy())                   # [I, D]
        lists = max(1, min(4096, 1 << round(math.log2(4 * math.sqrt(len(rows)))), len(rows) // 40))
        index = faiss.index_factory(rows.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1  # a small catalogue is no reason to warn
        drawn = np.random.default_rng(0).choice(len(rows), min(len(rows), lists * _TRAINED), replace=False)
        index.train(rows[np.sort(drawn)])
        index.add_with_ids(rows, np.arange(1, len(rows) + 1))
        return cls(index, fingerprint(vectors))

    def search(self, queries: Tensor, fetch: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return scores and codes `[B, fetch]` of queries `[B, D]`, best first; code 0 where nothing was found."""
        scores, codes = self._index.search(np.ascontiguousarray(queries.numpy()), fetch)
        return scores, np.where(codes < 0, 0, codes)

    def save(self, folder: Path) -> None:
        """Write the index and its facts into a run folder.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        with atomic_file(folder / INDEX) as path:
            _faiss().write_index(self._index, str(path))
        facts = {"format": FORMAT, "vectors": self.fingerprint, "file": sha256(folder / INDEX)}
        write_json(folder / FACTS, facts)

    @classmethod
    def load(cls, folder: Path, vectors: Tensor) -> Self | None:
        """Return a run folder's index; None if there is none, it is damaged, or it is of other vectors.

        Raises:
            MissingExtraError: faiss is not installed.
        """
        faiss = _faiss()
        try:
            facts = read_json(folder / FACTS)
            expected = fingerprint(vectors)
            current = facts["format"] == FORMAT and facts["vectors"] == expected
            if not current or not is_intact(folder / INDEX, facts["file"]):
                return None
            return cls(faiss.read_index(str(folder / INDEX)), expected)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            return None


def fingerprint(vectors: Tensor) -> str:
    """Return the SHA-256 of item vectors and their shape."""
    digest = hashlib.sha256(repr(tuple(vectors.shape)).encode())
    digest.update(vectors.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def approximate_top_k(
    index: ItemIndex,
    model: ModelScorer,
    scorer: Scorer,
    histories: Sequence[History],
    k: int,
    rules: Rules,
    *,
    progress: Progress = SILENT,
) -> TopK:
    """Return about the k best items of every history; none that the rules forbid, and as many as exactly.

    More than k are fetched, and what the rules forbid is dropped. A history that has too few left, or no
    known item, is scored in full.

    Args:
        index: of the model's item vectors.
        model: reads the histories.
        scorer: scores in full.
        histories: item codes, oldest first.
        k: how many items a history gets at most.
        rules: which items are candidates.
        progress: advanced by every batch's histories.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    items = scorer.items
    k = min(k, items)
    blocked = rules.blocked(items)
    forbidden = None if blocked is None else blocked.numpy()
    free = 1.0 if forbidden is None else float(1 - forbidden[1:].mean())
    result = TopK.empty(len(histories), k)
    left: list[Codes] = [np.flatnonzero(~has_known_item(histories))]
    searched = np.flatnonzero(has_known_item(histories))
    for batch in length_sorted_batches([histories[row] for row in searched.tolist()], 256):
        rows = searched[batch]
        given = [histories[row] for row in rows.tolist()]
        longest = max(len(history) for history in given) if rules.remove_seen else 0
        fetch = int((k + longest) / free * 1.25) + 1 if free > 0 else items + 1
        if fetch > min(MAX_FETCH, items):
            left.append(rows)
            continue
        with torch.inference_mode():
            keys, enough = _search(index, model, given, fetch, k, rules, forbidden)
            result.fill(rows[enough], keys[torch.from_numpy(enough)])
        left.append(rows[~enough])
        progress.advance(int(enough.sum()))
    rest = np.concatenate(left)
    if len(rest):
        exact = top_k(scorer, [histories[row] for row in rest.tolist()], k, rules, progress=progress)
        result.codes[rest], result.scores[rest], result.counts[rest] = exact.codes, exact.scores, exact.counts
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


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss", "ann") from error
    return faiss
