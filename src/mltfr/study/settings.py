"""How settings are laid over each other, and which of them a part of the grid may touch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from mltfr.errors import ConfigError

COMPONENTS = ("backbone", "fusion", "loss", "objective")
"""Settings that may be given as a name alone."""
OF_BACKBONES = ("backbone", "objective", "training.samples", "training.mask_ratio")
OF_FUSIONS = ("fusion", "tokens")
OF_TABLES = ("tokens",)


def lay_over(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings, later ones on top; settings of components with different names do not mix."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in with_names(layer).items():
            old = merged.get(key)
            if isinstance(value, Mapping) and isinstance(old, Mapping):
                same = value.get("name", old.get("name")) == old.get("name") or "name" not in old
                merged[key] = lay_over(old, value) if same else deepcopy(dict(value))
            else:
                merged[key] = deepcopy(value)
    return merged


def with_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which `backbone = "sasrec"` is a table with a name."""
    return {
        key: {"name": value} if key in COMPONENTS and isinstance(value, str) else value
        for key, value in settings.items()
    }


def keys_of(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted key of every single value."""
    for key, value in with_names(settings).items():
        if isinstance(value, Mapping) and value:
            yield from keys_of(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def only(where: str, settings: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Check that a part of the grid touches nothing that the cells of one data set have to share.

    Raises:
        ConfigError: it does; the message names the key.
    """
    for key in keys_of(settings):
        if not any(key == part or key.startswith(f"{part}.") for part in allowed):
            raise ConfigError(
                f"{where} sets '{key}', so its cells would be trained or measured otherwise than those they are "
                f"compared with. It may set {', '.join(allowed)}; what holds for all cells belongs into [settings] "
                "or [data.LABEL.settings]."
            )


def without(where: str, settings: Mapping[str, Any], forbidden: Mapping[str, str]) -> None:
    """Check that settings leave alone what another part of the study file decides.

    Args:
        where: the settings' place in the file, for the message.
        settings: nested settings.
        forbidden: keys, with the place that they belong to.

    Raises:
        ConfigError: they do not; the message names the key.
    """
    for key in keys_of(settings):
        for part, place in forbidden.items():
            if key == part or key.startswith(f"{part}."):
                raise ConfigError(f"{where} sets '{key}', but that belongs into {place}.")
