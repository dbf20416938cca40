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
    """Return the settings with `training.samples` for this log, where they leave these to "auto".

    Windows take the place of prefixes where a prefix would read many items, since then they cost several times less
    and score as well. A backbone or fusion that would see its targets there is trained on prefixes, and so is a
    training objective, whose views are those of the samples of a batch, and what asks for empty prefixes. Nothing is
    chosen for a baseline, or for a backbone that is trained by masking.

    Args:
        config: every setting.
        data: the split log.
    """
    network = config.backbone
    if not isinstance(network, BackboneConfig) or config.training.samples != "auto":
        return config
    backbone = BACKBONES.get(network.name).cls
    if backbone.uses_mask_token:
        return config
    fits = backbone.is_causal and not config.fusion.knows_later_items and config.objective.name == "none"
    fits = fits and not config.training.empty_prefix
    windows = fits and mean_prefix(data.train_length, network.max_length) > LONG_PREFIX
    training = config.training.model_copy(update={"samples": "windows" if windows else "prefixes"})
    return config.model_copy(update={"training": training})


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
