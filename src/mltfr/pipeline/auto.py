"""Settings that follow the log, where a run's settings leave them open."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mltfr.backbones import BACKBONES, BackboneConfig
from mltfr.interactions import Split
from mltfr.pipeline.config import RunConfig

LONG_PREFIX = 16.0
"""Mean items that a prefix reads from which on windows take its place: docs/decisions/training-samples.md."""


def settle(config: RunConfig, data: Split) -> RunConfig:
    """Return the settings with `training.samples` chosen for this log, where they leave it to "auto".

    Windows take the place of prefixes where a prefix would read many items, since then they cost several times less
    and score as well; with a batch that has as many targets. A backbone or fusion that would see its targets there is
    trained on prefixes.

    Args:
        config: every setting.
        data: the split log.
    """
    training = config.training
    if training.samples != "auto" or not isinstance(config.backbone, BackboneConfig):
        return config
    chosen: dict[str, object] = {"samples": "prefixes"}
    causal = BACKBONES.get(config.backbone.name).cls.is_causal and not config.fusion.knows_later_items
    if causal and mean_prefix(data.train_length, config.backbone.max_length) > LONG_PREFIX:
        batch_size = max(1, training.batch_size // training.advanced.window_targets)
        chosen = {"samples": "windows", "batch_size": batch_size}
    return config.model_copy(update={"training": training.model_copy(update=chosen)})


def mean_prefix(lengths: npt.NDArray[np.integer], max_length: int) -> float:
    """Return how many items the prefixes of histories read on average; 0 where there is none.

    Args:
        lengths: items of every training history, `[U]`.
        max_length: items that a prefix reads, at most (L).
    """
    prefixes = np.maximum(lengths.astype(np.float64) - 1, 0)                 # [U], of 1, 2, ... items
    whole = np.minimum(prefixes, max_length)                                 # those that are not cut
    read = whole * (whole + 1) / 2 + (prefixes - whole) * max_length
    return float(read.sum() / max(1.0, prefixes.sum()))
