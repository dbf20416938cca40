"""An approximate index of item vectors by inner product: faiss, of the extra `ann`."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mltfr.errors import MissingExtraError
from mltfr.fetch import atomic_path, sha256

INDEX, FACTS = "index.faiss", "index.json"
"""Files beside a run's own."""
FORMAT = 1
PROBED = 1 / 16
"""Share of the lists that a search reads."""
_TRAINED = 64
"""Item vectors a list that the lists' centres are found from."""


class ItemIndex:
    """Item vectors in lists around centres, of which a search reads the nearest (inverted file, IVF).

    The vectors themselves are in the lists, so scores are inner products as ever; only items in lists that
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
        """Index float32 vectors `[I + 1, D]`; row 0 is padding and left out.

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
        with atomic_path(folder / INDEX) as path:
            _faiss().write_index(self._index, str(path))
        with atomic_path(folder / FACTS) as path:
            facts = {"format": FORMAT, "vectors": self.fingerprint, "file": sha256(folder / INDEX)}
            path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, vectors: Tensor) -> Self | None:
        """Return a run folder's index; None if there is none, it is damaged, or it is of other vectors.

        Raises:
            MissingExtraError: faiss is not installed.
        """
        faiss = _faiss()
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            wanted = fingerprint(vectors)
            known = facts["format"] == FORMAT and facts["vectors"] == wanted
            if not known or facts["file"] != sha256(folder / INDEX):
                return None
            return cls(faiss.read_index(str(folder / INDEX)), wanted)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            return None


def fingerprint(vectors: Tensor) -> str:
    """Return the SHA-256 of item vectors and their shape."""
    digest = hashlib.sha256(repr(tuple(vectors.shape)).encode())
    digest.update(vectors.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss", "ann") from error
    return faiss
