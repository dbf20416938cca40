"""Which settings a part of the grid may set, and settings with some of them replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mltfr.config import flatten
from mltfr.errors import ConfigError
from mltfr.pipeline import RunConfig

OF_BACKBONES = ("backbone", "objective", "training.samples", "training.mask_ratio", "training.mask_last")
OF_FUSIONS = ("fusion", "tokens", "names", "distillation")
OF_TABLES = ("tokens",)


def is_among(key: str, settings: Sequence[str] | Mapping[str, Any]) -> bool:
    """Return whether a dotted key is one of some settings, or lies within one of them."""
    return any(key == setting or key.startswith(f"{setting}.") for setting in settings)


def check_only(where: str, settings: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Check that a part of the grid sets nothing that the cells of one data set have to share.

    Raises:
        ConfigError: it does; the message names the key.
    """
    for key in flatten(settings):
        if not is_among(key, allowed):
            raise ConfigError(
                f"{where} sets '{key}', so its cells would be trained or measured otherwise than those they are "
                f"compared with. It may set {', '.join(allowed)}; what holds for all cells belongs into [settings] "
                "or [data.LABEL.settings]."
            )


def check_without(where: str, settings: Mapping[str, Any], forbidden: Mapping[str, str]) -> None:
    """Check that settings leave alone what another part of the study file decides.

    Args:
        where: where the settings stand in the file, for the message.
        settings: nested settings.
        forbidden: keys, with the table of the file that they belong to.

    Raises:
        ConfigError: they do not; the message names the key.
    """
    for key in flatten(settings):
        for setting, table in forbidden.items():
            if is_among(key, [setting]):
                raise ConfigError(f"{where} sets '{key}', but that belongs into {table}.")


def with_settings(config: RunConfig, settings: Mapping[str, Any], where: str) -> RunConfig:
    """Return settings with some of them replaced; what a backbone or fusion does not have is left out.

    Args:
        config: every setting.
        settings: values by dotted key.
        where: for messages.

    Raises:
        ConfigError: they do not fit together.
    """
    values = config.model_dump(mode="json")
    known = flatten(values)
    for key in (key for key in settings if known.get(key) is not None):
        *path, last = key.split(".")
        table = values
        for part in path:
            table = table[part]
        table[last] = settings[key]
    return RunConfig.parse(values, where)
