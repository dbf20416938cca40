"""Small requests by the run's exported graph in onnxruntime, which takes a fraction of the time that torch does.

A small request spends most of its time in Python and in calls of operators. onnxruntime runs the whole graph in one
call, and lets go of the interpreter meanwhile. With many histories torch is as fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Self

import numpy as np

from mltfr.errors import ConfigError, RunError
from mltfr.export.example import ExportedModel
from mltfr.export.folder import PARITY
from mltfr.export.formats import check_format
from mltfr.export.graph import networks_of
from mltfr.export.job import GRAPH
from mltfr.export.parity import Parity
from mltfr.inference import Rules
from mltfr.inference.top_k import TopK
from mltfr.interactions import UNKNOWN, History
from mltfr.interactions.collate import Codes
from mltfr.pipeline.fitted import FittedModel
from mltfr.storage.child import run_module
from mltfr.storage.files import read_json

MAX_HISTORIES = 8
"""Histories in one call up to which the graph is asked: half as long as in torch there, a seventh for one history."""
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
    def of(cls, folder: Path, fitted: FittedModel) -> Self:
        """Export a run and compare its answers, in a process of its own, whose memory is free again afterwards.

        Args:
            folder: the run folder.
            fitted: what it holds.

        Raises:
            ConfigError: torch is too old.
            MissingExtraError: the extra `export` is not installed.
            RunError: the run has no graph, or one that does not answer as the run does.
        """
        check_format("onnx")
        try:
            networks_of(fitted)
        except ConfigError as error:
            raise RunError(
                f"{folder}: has no graph, since it is a baseline, a blend with one, or of preset `reference`. "
                "Leave --onnx out."
            ) from error
        with TemporaryDirectory(prefix="mltfr-") as place:
            words = [str(folder.absolute()), place, str(MAX_K)]
            code, reason = run_module("mltfr.export.job", words, 1, Event(), Event())
            if code:
                raise RunError(f"{folder}: has no graph for --onnx ({reason.partition('. ')[0]}). Leave --onnx out.")
            told, names = read_json(Path(place, GRAPH, PARITY)), {field.name for field in fields(Parity)}
            parity = Parity(**{name: value for name, value in told.items() if name in names})
            return cls(ExportedModel(Path(place, GRAPH), threads=1), parity)

    def __str__(self) -> str:
        return (
            f"onnxruntime answers requests of up to {MAX_HISTORIES} histories for up to {self.exported.k} items, "
            f"without `allow` and new items; torch all others. Compared at the start: {self.parity}."
        )

    def top_k(self, histories: Sequence[History], k: int, rules: Rules) -> TopK | None:
        """Return the k best items of every history; None where torch has to find them.

        That is: for many histories, for long lists, and where only some items are allowed.
        """
        k = min(k, len(self.exported.items) - 1)
        if k > self.exported.k or rules.allow is not None or len(histories) > MAX_HISTORIES:
            return None
        if not histories:
            return TopK.empty(0, k)
        given, lengths = _left_aligned([history[history != UNKNOWN] for history in histories])  # [B, L], [B]
        excluded = np.tile(np.array(rules.deny, np.int64), (len(given), 1))  # [B, E]
        if rules.remove_seen:
            excluded = np.concatenate([excluded, given], axis=1)
        codes, scores = (found[:, :k] for found in self.exported.run(given, lengths, excluded))
        return TopK(codes, scores, np.count_nonzero(codes, axis=1))


def _left_aligned(histories: Sequence[History]) -> tuple[Codes, Codes]:
    """Return codes int64 `[B, L]` from column 0 on, with zeros behind them, and how many each history has, `[B]`."""
    lengths = np.array([len(history) for history in histories])
    rows = np.zeros((len(histories), max(1, lengths.max())), np.int64)
    for row, history in zip(rows, histories, strict=True):
        row[: len(history)] = history
    return rows, lengths
