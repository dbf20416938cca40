"""Small requests by the run's exported graph in onnxruntime, which takes a fraction of the time that torch does.

Most of what a request of one history costs in torch is not arithmetic but the way to it, operation by operation,
and the interpreter is held all along. onnxruntime goes that way once, and lets go of the interpreter. From some
histories on torch is as fast: it reads histories as long as they are, the graph its whole window.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np

from mltfr.batch.users import run_fingerprint
from mltfr.errors import RunError
from mltfr.export.example import ExportedModel
from mltfr.export.formats import check_format
from mltfr.export.parity import Parity
from mltfr.inference import Rules
from mltfr.inference.top_k import TopK
from mltfr.interactions import UNKNOWN, History
from mltfr.storage.parse import parse_json

MAX_HISTORIES = 8
"""Histories in one call up to which the graph is asked: half as long as in torch there, a sixth for one history."""
MAX_K = 128
"""Items that the graph finds for a history: those of a list, and the denied ones beside them."""


class GraphSearch:
    """Finds the best items of a few histories by an exported graph; threads may share it.

    Args:
        exported: the graph.
        parity: how its answers compare with the run's.
    """

    def __init__(self, exported: ExportedModel, parity: Parity) -> None:
        self.exported, self.parity = exported, parity

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Export a run and compare its answers, in a process of its own, whose memory is free again afterwards.

        Raises:
            MissingExtraError: the extra `export` is not installed.
            RunError: the run has no graph (a baseline, preset `reference`), or one that does not answer as the run
                does; or another run stands in the folder now.
        """
        check_format("onnx")
        run = run_fingerprint(folder)
        with TemporaryDirectory(prefix="mltfr-") as place:
            graph = Path(place) / "graph"
            done = subprocess.run(
                [sys.executable, "-P", "-m", "mltfr", "export", folder, "--out", graph, "-k", str(MAX_K), "--json"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
            )  # fmt: skip
            if done.returncode:
                lines = done.stderr.strip().splitlines() or [f"The process of the export ended with {done.returncode}."]
                reason = lines[-1].removeprefix("mltfr: ")
                raise RunError(f"{folder}: cannot be served with --onnx. {reason}")
            if run_fingerprint(folder) != run:
                raise RunError(f"{folder}: another run was written there while it was exported. Load it again.")
            return cls(ExportedModel(graph, threads=1), Parity(**parse_json(done.stdout)))

    def __str__(self) -> str:
        return (
            f"onnxruntime answers requests of up to {MAX_HISTORIES} histories for up to {self.exported.k} items, "
            f"without `allow`; torch all others. Compared at the start: {self.parity}."
        )

    def top_k(self, histories: Sequence[History], k: int, rules: Rules) -> TopK | None:
        """Return the k best items of every history; None where torch has to find them.

        That is: for many histories, for long lists, and where only some items are allowed.
        """
        k = min(k, len(self.exported.items) - 1)
        if k > self.exported.k or rules.allow is not None or len(histories) > MAX_HISTORIES:
            return None
        given = [history[history != UNKNOWN].tolist() for history in histories]
        excluded = [[*rules.deny, *codes] if rules.remove_seen else list(rules.deny) for codes in given]
        codes, scores = self.exported.answer(given, excluded)
        result = TopK.empty(len(histories), k)
        if given:
            result.codes[:], result.scores[:] = np.array(codes)[:, :k], np.array(scores)[:, :k]
            result.counts[:] = (result.codes > 0).sum(1)
        return result
