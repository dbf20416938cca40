"""Which settings a part of the grid may set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mltfr.config import flatten
from mltfr.errors import ConfigError

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
