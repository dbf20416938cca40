"""Fit a recommender to a planted signal, and see whether it found it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from mltfr.evaluation import EvaluationProtocol, SplitName, evaluate
from mltfr.fusion.mltfr import MltfrFusion
from mltfr.inference import ModelScorer
from mltfr.interactions.collate import pad_right_aligned
from mltfr.model import SequentialModel
from mltfr.pipeline import resolve
from mltfr.pipeline.build import build_loss, build_model, build_objective
from mltfr.testing.planted import PlantedSignal
from mltfr.tokens.controls import control_vectors
from mltfr.tokens.matrix import unit_rows
from mltfr.tokens.table import PreparedTable
from mltfr.training import Callback, train

Kind = Literal["bare", "mltfr", "random", "shuffled"]
SETTINGS = (
    "backbone.hidden=32",
    "backbone.blocks=1",
    "backbone.inner=1",
    "backbone.max_length=5",
    "backbone.dropout=0.1",
    "training.samples=positions",
    "training.batch_size=128",
    "training.learning_rate=0.005",
    "training.epochs=12",
    "training.device=cpu",
)
"""A small backbone and a short training, the same for all. The fusion has its default settings but for round 2: a
trial is about filter and experts. The shortlist holds the whole table unless `settings` make it shorter."""


@dataclass(frozen=True)
class PlantedTrial:
    """What came of a fit.

    Attributes:
        ndcg: NDCG@10 of the test part.
        hit_rate: how often the token that a test answer follows from is kept; 0 without a fusion.
        chance: the same for tokens kept at random; 0 without a fusion.
    """

    ndcg: float
    hit_rate: float
    chance: float


def planted_trial(
    signal: PlantedSignal, kind: Kind, seed: int = 0, settings: Sequence[str] = (), callback: Callback | None = None
) -> PlantedTrial:
    """Train on the signal's training users, choose the epoch on validation, and score test once.

    Args:
        signal: the log, the table and the truth.
        kind: the bare backbone, mltfr with the table, or mltfr with a control in its place.
        seed: seed of the training and of the control.
        settings: further settings, as `"training.epochs=20"` texts.
        callback: called on progress.
    """
    bare = kind == "bare"
    config = resolve(
        fusion="none" if bare else "mltfr",
        tokens=[] if bare else [signal.table.name],
        seed=seed,
        overrides=[*SETTINGS, *([] if bare else ["fusion.consensus_weight=0"]), *settings],
    )
    table = signal.table if kind in ("bare", "mltfr") else _control(signal.table, kind, seed)
    trained = train(
        lambda: build_model(config, len(signal.split.vocabulary), [] if bare else [table]),
        build_loss(config, signal.split.vocabulary.counts),
        signal.split.train_histories(),
        lambda model: _score(model, signal, "validation"),
        config.training,
        seed=seed,
        objective=build_objective(config, len(signal.split.vocabulary)),
        callback=callback,
    )
    model = trained.model.eval()
    hits = chance = 0.0
    if isinstance(model.fusion, MltfrFusion):
        kept, user = _kept(model, model.fusion, signal)
        hits, chance = signal.hit_rate(kept, user), kept.shape[1] / len(signal.angles)
    return PlantedTrial(_score(model, signal, "test")["ndcg@10"], hits, chance)


def _control(table: PreparedTable, kind: Kind, seed: int) -> PreparedTable:
    control: Literal["random", "shuffled"] = "random" if kind == "random" else "shuffled"
    vectors = unit_rows(control_vectors(table.vectors, control, seed, table.name))
    return replace(table, vectors=vectors.astype(table.vectors.dtype))


def _score(model: SequentialModel, signal: PlantedSignal, split: SplitName) -> dict[str, float]:
    scorer = ModelScorer(model, model.item_embedding.weight.device)
    return dict(evaluate(scorer, signal.split, split, EvaluationProtocol(split=signal.split.method)).metrics)


def _kept(
    model: SequentialModel, fusion: MltfrFusion, signal: PlantedSignal
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return the tokens kept at the last position of every test history, `[E, K]`, and whose they are `[E]`."""
    split, test = signal.split, signal.split.test
    histories = [split.histories[user][:cut] for user, cut in zip(test.user, test.cut, strict=True)]
    with torch.no_grad():
        inputs = model.fusion_inputs(torch.from_numpy(pad_right_aligned(histories, int(test.cut.max()))))
        ids, _ = fusion.kept_tokens(*inputs)[signal.table.name]                 # [E, L, K]
    return ids[:, -1].numpy(), test.user
