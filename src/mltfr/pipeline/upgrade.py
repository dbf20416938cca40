"""Settings and weights of earlier versions in the words of this one, so that runs fitted then can be opened."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch import Tensor

from mltfr.backbones import BACKBONES
from mltfr.errors import ConfigError
from mltfr.fusion import FUSIONS
from mltfr.training.config import REMOVED_SETTINGS, AdvancedTrainingConfig

_GRANULARITY = {"position": "position", "user": "sequence", "nobody": "static"}
"""What `fusion.filter.chosen_by` said, as `granularity` says it."""
_UNTOLD: dict[str, dict[str, Any]] = {"gru4rec": {"item_bias": False}, "item-knn": {"lags": 0}, "markov": {"lags": 1}}
"""What backbones and baselines of earlier versions did without a setting for it."""
FILTER_BEFORE = {
    "query_from": "input",
    "null_key": False,
    "query_projection": False,
    "rate_factor": 1.0,
    "hysteresis": 0.0,
}
"""Settings of `fusion.filter` that were none once, and what the fusion did then."""
_RENAMED_WEIGHTS = {"item_vectors.weight": "item_embedding.weight"}


def upgrade_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's nested settings with what was renamed or moved; settings of this version stay as they are.

    Raises:
        ConfigError: they name a control that no fusion is any more.
    """
    upgraded = deepcopy(dict(settings))
    training = upgraded.get("training", {})
    moved = {name: training.pop(name) for name in AdvancedTrainingConfig.model_fields if name in training}
    if moved:
        training["advanced"] = {**moved, **training.get("advanced", {})}
    for name in REMOVED_SETTINGS:
        training.pop(name, None)
    backbone = upgraded.get("backbone", {})
    for name, value in _UNTOLD.get(backbone.get("name"), {}).items():
        backbone.setdefault(name, value)
    if backbone.get("name") == "ease" and "keep" in backbone:
        backbone["name"] = "ease-recent"
    fusion = upgraded.get("fusion", {})
    token_filter = fusion.get("filter", {})
    if "chosen_by" in token_filter:
        token_filter["granularity"] = _GRANULARITY[token_filter.pop("chosen_by")]
    token_filter.pop("noise_epochs", None)  # how many steps that was depends on the log
    if "keep" in token_filter:  # a run's settings are complete: what is missing was no setting
        token_filter |= {name: value for name, value in FILTER_BEFORE.items() if name not in token_filter}
    control = upgraded.get("tokens", {}).pop("control", "none")
    if control != "none":
        fusion["name"] = _control_of(fusion["name"], control)
    names = upgraded.get("names", {})
    if "control" in names and "read" not in names:  # one is said of names that something begins with
        begin = names.get("file") and names.get("use") != "none" and BACKBONES.find(backbone.get("name", ""))
        read = "words" if names["control"] == "bag-of-words" else "tables"
        names |= {"control": "none"} if read == "words" else {}
        names |= {"read": read} if begin else {}
    if names.get("read") == "auto":  # where nothing begins with names
        names["read"] = "words"
    if "members" in backbone:  # a blend's
        backbone["members"] = [upgrade_settings(member) for member in backbone["members"]]
    return upgraded


def refuse_former_names(settings: Mapping[str, Any], where: str) -> None:
    """Say where a setting of an earlier version is now, if a user's settings have one that only a fusion knows.

    Raises:
        ConfigError: they have.
    """
    fusion = settings.get("fusion")
    token_filter = fusion.get("filter") if isinstance(fusion, Mapping) else None
    if isinstance(token_filter, Mapping) and "chosen_by" in token_filter:
        values = ", ".join(f"'{before}' is '{now}'" for before, now in _GRANULARITY.items() if before != now)
        raise ConfigError(f"{where}: fusion.filter.chosen_by is now fusion.filter.granularity; {values}.")
    if isinstance(token_filter, Mapping) and "noise_epochs" in token_filter:
        raise ConfigError(
            f"{where}: fusion.filter.noise_epochs is now fusion.filter.noise_steps, and counts optimisation steps of a "
            "round instead of epochs."
        )


def upgrade_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a run's tensors under the names that a model of this version has."""
    return {_RENAMED_WEIGHTS.get(name, name): tensor for name, tensor in weights.items()}


def _control_of(name: str, control: str) -> str:
    """Return the registered fusion that is the control of another one; itself where it reads no tables.

    Raises:
        ConfigError: there is none.
    """
    fusion = FUSIONS.get(name).cls
    if not fusion.needs_tables:
        return name
    controls = [entry.name for entry in FUSIONS if issubclass(entry.cls, fusion) and entry.cls.control == control]
    if not controls:
        raise ConfigError(f"fusion '{name}' has no control '{control}' any more")
    return controls[0]
