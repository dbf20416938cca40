"""A run as it is shared: what of its settings and of what its manifest says leaves the machine, with users or without.

What is known to tell of the model, its tables, items and scores is kept; all else is left out, so that a fact that is
new stays here until somebody decides otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PureWindowsPath
from typing import Any

from mltfr.fusion.adapter import AdapterConfig
from mltfr.pipeline.config import BlendConfig, RunConfig
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import BLEND, REFIT
from mltfr.pipeline.names import FINGERPRINT

FACTS = (
    "mltfr", "python", "packages", "machine", "created", "seed", "source", "data_fingerprint", "filters", "split",
    "left_out", "tables", "item_vectors", "names", FINGERPRINT, "new_items", "teacher", "rounds", "best_epoch",
    "parameters", "fusion", BLEND, "chain", "estimate", "pace", "wall_seconds", REFIT,
)  # fmt: skip
"""What of the manifest is shared. Notes about the log, for one, may quote ids."""
SCORES = (
    "run", "split", "users", "examples", "unknown_targets", "seen_targets", "protocol", "protocol_hash", "metrics",
    "beyond_accuracy", "slices", "validation", "zero_branch", "popularity", "baselines", "best_member", "verdict",
    "counts", "names",
)  # fmt: skip
"""What of `metrics.json` is shared."""


def to_share(fitted: FittedModel, with_users: bool = False) -> FittedModel:
    """Return a fitted model as it is shared: without paths, trackers and notes, and without users unless asked for.

    Without its users a run has no histories and no held-out rows, and no condition on rows, which may quote ids. It
    recommends for histories that it is given, finds similar items, and can be served, exported and explained.
    """
    facts = {key: value for key, value in fitted.facts.items() if key in FACTS}
    metrics = {key: value for key, value in fitted.metrics.items() if key in SCORES}
    config = settings_to_share(fitted.config, with_users)
    split = fitted.split if with_users else fitted.split.without_users()
    return replace(fitted, config=config, split=split, facts=facts, metrics=metrics)


def settings_to_share(config: RunConfig, with_users: bool = False) -> RunConfig:
    """Return settings as they may leave this machine, for a hub or a tracker.

    They name no place on it and no trackers, and have no condition on rows, which may quote ids, unless users go along.
    """
    changed: dict[str, Any] = {
        "trackers": (),
        "names": config.names.model_copy(update={"file": _name(config.names.file)}),
        "distillation": config.distillation.model_copy(update={"teacher": _name(config.distillation.teacher)}),
    }
    if isinstance(config.fusion, AdapterConfig):
        changed["fusion"] = config.fusion.model_copy(update={"vectors": _name(config.fusion.vectors)})
    if isinstance(config.backbone, BlendConfig):
        members = tuple(settings_to_share(member, with_users) for member in config.backbone.members)
        changed["backbone"] = config.backbone.model_copy(update={"members": members})
    if not with_users:
        changed["filters"] = config.filters.model_copy(update={"where": None})
    return config.model_copy(update=changed)


def _name(path: str) -> str:
    """Return the last part of a path of any system; "" of none."""
    return PureWindowsPath(path).name
