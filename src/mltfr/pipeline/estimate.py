"""How much memory and time a training will take, told before it begins."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mltfr.baselines.memory import available_memory, used_memory
from mltfr.interactions import Split
from mltfr.losses import SampledLoss
from mltfr.pipeline.build import build_loss, build_model, build_objective
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.footprint import Sizes, footprint
from mltfr.tokens import PreparedTable
from mltfr.training.activations import FEW, encoder_bytes, loss_bytes
from mltfr.training.batches import plan_epoch
from mltfr.training.devices import make_fabric
from mltfr.training.optimizer import sparse_items
from mltfr.training.samples import Samples, Views, make_samples
from mltfr.training.step import TrainingStep
from mltfr.training.trial import seconds_per_step

FEW_ITEMS = 2
"""Items of the small model on which activations are counted."""
LOOKED_AT = 200_000
"""Samples among which the largest batch is looked for."""
LONG_EPOCH = 1000
"""Batches of an epoch from which a trial (a model, its shortlists, a dozen steps: 1 to 2 s) costs little beside it."""


@dataclass(frozen=True)
class Estimate:
    """What a training is expected to take.

    Attributes:
        parts: bytes of each part when they are most; their sum comes on top of `in_use`.
        in_use: bytes that the process holds already: program, log, token tables; 0 on an accelerator.
        available: bytes that can still be had where the model trains; None where the system does not say.
        batches: batches of an epoch.
        seconds: seconds of an epoch without its validation, from a trial of 6 steps on this machine; None where an
            epoch is too short to be worth one.
        sizes: what the parts were counted from.
    """

    parts: Mapping[str, int]
    in_use: int
    available: int | None
    batches: int
    seconds: float | None
    sizes: Sizes

    @property
    def needed(self) -> int:
        """Bytes that training adds to what is in use."""
        return sum(self.parts.values())

    @property
    def peak(self) -> int:
        """Bytes of the process at its largest."""
        return self.in_use + self.needed

    @property
    def largest(self) -> str:
        """The largest part."""
        return max(self.parts, key=lambda part: self.parts[part])

    def __str__(self) -> str:
        rest = f" of {readable(self.in_use + self.available)}" if self.available is not None else ""
        time = f"; about {self.seconds:.1f} s an epoch without validation" if self.seconds is not None else ""
        part = f"{self.largest} {readable(self.parts[self.largest])}"
        return f"estimate: {readable(self.peak)} of memory at the peak{rest} (most: {part}){time}"

    def to_json(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return {
            "peak_bytes": self.peak,
            "in_use_bytes": self.in_use,
            "parts": dict(self.parts),
            "batches": self.batches,
            "epoch_seconds": round(self.seconds, 2) if self.seconds is not None else None,
        }


def estimate(
    config: RunConfig,
    split: Split,
    tables: Sequence[PreparedTable] = (),
    item_vectors: npt.NDArray[np.float32] | None = None,
) -> Estimate:
    """Count what a training will hold, without making its item vectors.

    The encoder's activations are counted on four samples of the largest batch; nothing random is used up.

    Args:
        config: the run's settings, with a backbone that is trained.
        split: the data.
        tables: the prepared token tables.
        item_vectors: `[I + 1, W]`, for a fusion that reads some.

    Raises:
        ConfigError: settings that do not fit together.
        DataError: no history is long enough to train on.
    """
    fabric = make_fabric(config.training)
    items = len(split.vocabulary)
    with torch.random.fork_rng(devices=[]):
        small = build_model(config, FEW_ITEMS, tables, item_vectors)
        loss, objective = build_loss(config, split.vocabulary.counts), build_objective(config, items)
        samples = make_samples(config.training, small, split.train_histories())
        sparse = sparse_items(config.training, loss, items)
        step = TrainingStep(small, loss, build_objective(config, FEW_ITEMS)).train()
        chosen, positions = _largest_batch(samples, config)
        random = np.random.default_rng(0)
        few = chosen[-FEW[1] :] if len(chosen) >= FEW[1] else np.resize(chosen, FEW[1])
        batch = Views(objective, samples).add(samples.batch(few, random), few, random)
        batch = replace(
            batch,
            items=batch.items.clamp_max(FEW_ITEMS),
            targets=batch.targets.clamp_max(FEW_ITEMS),
            views=tuple(view.clamp_max(FEW_ITEMS) for view in batch.views),
        )
        if small.fusion is not None and small.fusion.needs_tables:
            with torch.no_grad():
                small.fusion.refresh([small.fusion_inputs(batch.items)])
        width = small.backbone.hidden + int(small.item_bias is not None)
        of_items = {small.item_vectors.weight, small.item_bias}
        others = [parameter for parameter in small.parameters() if parameter not in of_items]
        drawn = getattr(loss, "negatives", 0) if isinstance(loss, SampledLoss) else 0
        sizes = Sizes(
            items=items,
            width=width,
            trained=sum(p.numel() for p in others if p.requires_grad),
            frozen=sum(p.nbytes for p in others if not p.requires_grad) + sum(b.nbytes for b in small.buffers()),
            batch=len(chosen),
            samples=len(samples),
            codes=len(chosen) * sum(part.shape[1] for part in (batch.items, *batch.views)),
            positions=positions,
            negatives=drawn * (1 if config.loss.name == "sampled_softmax" else positions),
            encoder=encoder_bytes(step, batch, len(chosen)),
            loss=loss_bytes(loss, positions, items, width),
            full_loss=not isinstance(loss, SampledLoss),
            sparse=sparse,
        )
    on_cpu = fabric.device.type == "cpu"
    parts = dict(footprint(sizes))
    if not on_cpu:
        parts = {name: size for name, size in parts.items() if name not in ("best weights", "samples", "program")}
    free = available_memory() if on_cpu else torch.cuda.mem_get_info(fabric.device)[0]
    batches = -(-len(samples) // config.training.batch_size)
    return Estimate(parts, used_memory() if on_cpu else 0, free, batches, None, sizes)


def with_time(
    found: Estimate,
    config: RunConfig,
    split: Split,
    tables: Sequence[PreparedTable] = (),
    item_vectors: npt.NDArray[np.float32] | None = None,
) -> Estimate:
    """Add the seconds of an epoch, from a trial of a dozen steps, where an epoch has at least 1,000.

    The trial's model is thrown away, and nothing random is used up.
    """
    if found.batches < LONG_EPOCH:
        return found
    fabric = make_fabric(config.training)
    with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
        model = build_model(config, found.sizes.items, tables, item_vectors)
        samples = make_samples(config.training, model, split.train_histories())
        loss = build_loss(config, split.vocabulary.counts)
        step = TrainingStep(model, loss, build_objective(config, found.sizes.items), found.sizes.sparse)
        each = seconds_per_step(step, samples, config.training, fabric)
    del model, step
    gc.collect()
    return replace(found, seconds=each * found.batches)


def readable(size: float) -> str:
    """Return a number of bytes as people say it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _largest_batch(samples: Samples, config: RunConfig) -> tuple[npt.NDArray[np.int64], int]:
    """Return the samples of an epoch's largest batch, and how many positions in it have a target."""
    random = np.random.default_rng(0)
    some = random.choice(len(samples), min(len(samples), LOOKED_AT), replace=False)
    lengths = samples.lengths[some]
    plan = plan_epoch(lengths, config.training.batch_size, config.training.bucket, random)
    largest = max(plan, key=lambda part: len(part) * int(lengths[part].max()))
    chosen = some[largest[np.argsort(lengths[largest], kind="stable")]]
    targets = samples.batch(chosen, random).targets
    return chosen, int((targets > 0).sum())
