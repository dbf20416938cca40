"""Lay settings over each other: a preset, a file, flags, overrides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from mltfr.errors import ConfigError, shown

COMPONENTS = ("backbone", "fusion", "loss", "objective")
"""Settings that hold a registered component, which may be given as a name alone."""


def _never(key: str, old: str, new: str) -> bool:
    """Return whether components of different names share their settings: they do not."""
    return False


def merge(*layers: Mapping[str, Any], share: Callable[[str, str, str], bool] = _never) -> dict[str, Any]:
    """Return nested settings with later layers on top of earlier ones.

    A table is merged key by key; any other value replaces what was there. A component that names another class than
    the one below it takes none of its settings.

    The layers of a run are preset, file, flags, overrides. Those of a study's cell are the study's settings, the data
    set's, the backbone's, the fusion's, the table set's and the seed; a layer that names no component sets whatever
    component comes on top.

    Args:
        layers: nested settings, the lowest first.
        share: called with one of `COMPONENTS` and two different names; whether the settings of the one are meant
            for the other too.

    Raises:
        ConfigError: a table of settings stands above a plain value.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in with_names(layer).items():
            old = merged.get(key)
            if not isinstance(value, Mapping):
                merged[key] = deepcopy(value)
            elif old is None:
                merged[key] = deepcopy(dict(value))
            elif not isinstance(old, Mapping):
                raise ConfigError(f"'{key}' is a table of settings, as in `[{key}]`, but {shown(old)} was given.")
            elif key in COMPONENTS and not _same(key, old, value, share):
                merged[key] = deepcopy(dict(value))
            else:
                merged[key] = merge(old, value, share=share)
    return merged


def _same(
    key: str, old: Mapping[str, Any], new: Mapping[str, Any], share: Callable[[str, str, str], bool]
) -> bool:
    if "name" not in old or "name" not in new or old["name"] == new["name"]:
        return True
    return share(key, str(old["name"]), str(new["name"]))


def with_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which `backbone = "sasrec"` is a table with a name."""
    return {
        key: {"name": value} if key in COMPONENTS and isinstance(value, str) else value
        for key, value in settings.items()
    }
