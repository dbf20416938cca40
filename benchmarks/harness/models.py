"""Recommenders of the size that budgets are stated for: D 64, 2 blocks, length 50, batch 128."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.counts import Lengths, Shapes, Work, fusion, optimiser, training
from harness.settings import Settings
from mltfr.interactions import Split
from mltfr.model import SequentialModel
from mltfr.pipeline import RunConfig, resolve
from mltfr.pipeline.build import build_model
from mltfr.tokens import PreparedTable
from mltfr.training.samples import PrefixSamples, WindowSamples

SIZE = ("backbone.hidden=64", "backbone.blocks=2", "backbone.max_length=50", "training.batch_size=128")
PAPER_BLOCK = (
    "backbone.norm=pre",
    "backbone.input_norm=false",
    "backbone.scale_input=true",
    "backbone.activation=relu",
    "backbone.inner=1",
    "backbone.heads=1",
    "backbone.dropout=0.2",
)


def configure(
    settings: Settings,
    *more: str,
    loss: str = "bce",
    samples: str = "positions",
    fusion: str = "none",
    tables: Sequence[PreparedTable] = (),
    preset: str = "default",
) -> RunConfig:
    """Return the settings of a run; `more` are `KEY=VALUE` texts."""
    return resolve(
        preset=preset,
        fusion=fusion,
        tokens=[table.name for table in tables],
        seed=settings.seed,
        overrides=[*SIZE, f"loss={loss}", f"training.samples={samples}", "training.device=cpu", *more],
    )


def ready_model(config: RunConfig, split: Split, tables: Sequence[PreparedTable] = ()) -> SequentialModel:
    """Return a model that scores; its weights are the initial ones, which costs the same as trained ones."""
    return build_model(config, len(split.vocabulary), tables).eval()


def epoch_work(config: RunConfig, split: Split, parameters: int, tables: Sequence[PreparedTable] = ()) -> Work:
    """Return the work of a training epoch; the refresh of the shortlists is not counted.

    Args:
        config: settings of a SASRec, with fusion `none`, or `mltfr` in round 1.
        split: the log.
        parameters: trained parameters.
        tables: of the fusion.
    """
    lengths, targets = _samples(config, split)
    loss = config.loss.model_dump()
    batch = config.training.samples_of_a_batch
    shapes = Shapes.of(config, len(split.vocabulary))
    work = training(shapes, lengths, targets, loss["name"], loss.get("negatives", 0), parameters, batch)
    return work + added_to_epoch(config, split, 0, tables)


def added_to_epoch(config: RunConfig, split: Split, parameters: int, tables: Sequence[PreparedTable]) -> Work:
    """Return the work that fusion `mltfr`, with so many trained parameters of its own, adds to an epoch of round 1."""
    lengths, _ = _samples(config, split)
    steps = -(-len(lengths) // config.training.samples_of_a_batch)
    return added(config, float(lengths.sum()), steps, tables) + optimiser(parameters) * steps


def added(
    config: RunConfig, positions: float, steps: int, tables: Sequence[PreparedTable], trained: bool = True
) -> Work:
    """Return the work that fusion `mltfr` adds to so many positions in so many steps."""
    if not tables:
        return Work()
    token_filter = config.fusion.model_dump()["filter"]
    return fusion(
        positions,
        steps,
        config.backbone.hidden,
        [table.shape[1] for table in tables],
        token_filter["shortlist"],
        token_filter["keep"],
        trained,
    )


def _samples(config: RunConfig, split: Split) -> tuple[Lengths, Lengths]:
    """Return how many items the encoder reads of every training sample, and how many positions have a target."""
    histories, longest = split.train_histories(), config.backbone.max_length
    if config.training.samples == "prefixes":
        prefixes = PrefixSamples(histories, longest)
        lengths = prefixes.lengths(np.arange(len(prefixes)))
        return lengths, np.ones_like(lengths)
    samples = WindowSamples(histories, longest, longest)
    lengths = samples.lengths(np.arange(len(samples)))
    return lengths, lengths
