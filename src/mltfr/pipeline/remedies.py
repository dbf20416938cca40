"""What to do where a training needs more memory than there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mltfr.errors import ConfigError
from mltfr.losses.cross_entropy import CrossEntropyConfig
from mltfr.losses.sampled_softmax import SampledSoftmaxConfig
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.estimate import Estimate, readable
from mltfr.pipeline.footprint import FLOAT, Sizes, footprint
from mltfr.training.optimizer import SPARSE_FROM

SMALL_CHUNK = 8
FEWEST = 5
WORTH = 0.95
"""A remedy is named if it leaves at most this share."""


def require_memory(found: Estimate, config: RunConfig, counts: npt.NDArray[np.int64]) -> None:
    """Refuse a training that does not fit, and say what would.

    Args:
        found: what it needs and what there is.
        config: the run's settings.
        counts: int64 `[I + 1]`, training interactions of every item code.

    Raises:
        ConfigError: it needs more than there is, and `training.check_memory` is on.
    """
    if found.available is None or found.needed <= found.available or not config.training.check_memory:
        return
    remedies = [
        f"{what} ({readable(sum(footprint(sizes).values()))})"
        for what, sizes in changes(found.sizes, config, counts)
        if sum(footprint(sizes).values()) <= WORTH * sum(footprint(found.sizes).values())
    ]
    largest = found.parts[found.largest]
    raise ConfigError(
        f"Training would need {readable(found.needed)} more memory, and {readable(found.available)} are free; most "
        f"goes to: {found.largest} ({readable(largest)} for {found.sizes.items:,} items). "
        + (f"What would need less: {', '.join(remedies)}. " if remedies else "")
        + "To try all the same: --set training.check_memory=false."
    )


def changes(sizes: Sizes, config: RunConfig, counts: npt.NDArray[np.int64]) -> Iterator[tuple[str, Sizes]]:
    """Yield settings that need less memory, the least harmful first, with the sizes that they lead to."""
    decays = config.training.weight_decay > 0
    if sizes.full_loss:
        drawn = SampledSoftmaxConfig().negatives
        yield (
            "--set loss.name=sampled_softmax",
            replace(
                sizes,
                full_loss=False,
                sparse=sizes.items >= SPARSE_FROM and not decays and config.training.item_updates != "dense",
                negatives=drawn,
                loss=6 * FLOAT * sizes.positions * drawn,
            ),
        )
    elif not sizes.sparse and not decays:
        yield "--set training.item_updates=sparse", replace(sizes, sparse=True)
    if isinstance(config.loss, CrossEntropyConfig) and config.loss.chunk > SMALL_CHUNK:
        named = f"--set loss.name=cross_entropy --set loss.chunk={SMALL_CHUNK}"  # a loss's settings need its name
        yield named, replace(sizes, loss=FLOAT * SMALL_CHUNK * sizes.items)
    if config.training.batch_size >= 8:
        batch = config.training.batch_size // 4
        share = min(1.0, batch / sizes.batch)
        yield (
            f"--set training.batch_size={batch}",
            replace(
                sizes,
                batch=batch,
                codes=int(sizes.codes * share),
                positions=int(sizes.positions * share),
                encoder=int(sizes.encoder * share),
                loss=sizes.loss if sizes.full_loss else int(sizes.loss * share),
            ),
        )
    if config.backbone.hidden >= 16:  # type: ignore[union-attr]
        half = config.backbone.hidden // 2  # type: ignore[union-attr]
        yield (
            f"--set backbone.hidden={half}",
            replace(sizes, width=sizes.width - half, trained=sizes.trained // 2, encoder=sizes.encoder // 2),
        )
    often = int((counts[1:] >= FEWEST).sum())
    if config.filters.min_item_interactions < FEWEST and often:
        loss = int(sizes.loss * often / sizes.items) if sizes.full_loss else sizes.loss
        yield f"--set filters.min_item_interactions={FEWEST}", replace(sizes, items=often, loss=loss)
