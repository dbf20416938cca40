"""mltfr itself, behind the same commands as its peers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from codes import Codes
from protocol import Epoch, serve

from harness.models import PAPER_BLOCK, configure
from harness.settings import Settings
from harness.trainer import train_epochs
from mltfr.evaluation import evaluate
from mltfr.inference import ModelScorer, top_k
from mltfr.interactions import UNKNOWN, Examples, Histories, Split, Vocabulary
from mltfr.model import SequentialModel
from mltfr.training import Callback


class FirstStep(Exception):
    """Ends the training after its first step."""


class OneStep(Callback):
    """Raises after the first step."""

    def on_batch_end(self, epoch: int, batch: int) -> None:
        raise FirstStep


class Counter(Callback):
    """Counts the batches."""

    batches = 0

    def on_batch_end(self, epoch: int, batch: int) -> None:
        self.batches += 1


class Mltfr:
    """Trains by the project's own loop; every epoch is the first of a new model, which costs the same."""

    def __init__(self, settings: dict[str, Any]) -> None:
        torch.set_num_threads(settings["threads"])
        self.split = read_split(Codes.read(settings["data"]))
        self.histories = list(self.split.histories)
        block = PAPER_BLOCK if settings["block"] == "paper" else ()
        own = Settings(settings["data"], 1, settings["threads"], settings["seed"], "")
        size = ("hidden", "blocks", "heads", "dropout")
        self.config = configure(
            own,
            *block,
            *(f"backbone.{name}={settings[name]}" for name in size),
            f"backbone.max_length={settings['length']}",
            f"training.batch_size={settings['batch']}",
            loss=settings["loss"],
            samples=settings["samples"],
        )
        self.model: SequentialModel

    def count(self) -> int:
        counter = Counter()
        train_epochs(self.config, self.split, 1, callback=counter)
        return counter.batches

    def train(self, batches: int | None) -> Epoch:
        if batches is not None:
            try:
                train_epochs(self.config, self.split, 1, callback=OneStep())
            except FirstStep:
                return Epoch(0.0, 0.0, 1)
        counter = Counter()
        self.model, times = train_epochs(self.config, self.split, 1, callback=counter)
        return Epoch(times.cpu[0], times.wall[0], counter.batches)

    def evaluate(self) -> dict[str, float]:
        found = evaluate(ModelScorer(self.model), self.split, "test")
        return {name: found.metrics[name] for name in ("hr@10", "ndcg@10")}

    def recommend(self) -> int:
        return len(top_k(ModelScorer(self.model), self.histories, 20).codes)


def read_split(codes: Codes) -> Split:
    """Return the handed-over log as a split."""
    items = np.where(codes.items > codes.known, UNKNOWN, codes.items).astype(np.int32)
    histories = Histories(codes.offsets, items)
    keep = np.arange(len(items)) < np.repeat(codes.offsets[:-1] + codes.train_length, histories.lengths)
    counts = np.bincount(items[keep], minlength=codes.known + 1)
    tested = np.flatnonzero(histories.lengths == codes.train_length + 2)
    validation, test = (Examples(tested, codes.train_length[tested] + more) for more in (0, 1))
    return Split(
        method="leave-one-out",
        user_ids=tuple(map(str, range(codes.users))),
        vocabulary=Vocabulary(tuple(map(str, range(1, codes.known + 1))), counts),
        histories=histories,
        train_length=codes.train_length,
        validation=validation,
        test=test,
    )


if __name__ == "__main__":
    serve(Mltfr)
