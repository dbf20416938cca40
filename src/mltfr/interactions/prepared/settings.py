"""What is decided when a set is prepared."""

from __future__ import annotations

import re

from mltfr.config import Config
from mltfr.errors import ConfigError
from mltfr.interactions.filters import FilterConfig
from mltfr.interactions.splitters import SplitConfig

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class PreparationConfig(Config):
    """Settings of a run that a prepared set fixes."""

    filters: FilterConfig = FilterConfig()
    """Which interactions are kept."""
    split: SplitConfig = SplitConfig()
    """How the log is divided into training, validation and test."""


def memory_bytes(text: str) -> int:
    """Return an amount of memory ("512M", "2G", "1.5GB") as bytes.

    Raises:
        ConfigError: it is no amount, or less than 1 MiB.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    size = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if size < 1 << 20:
        raise ConfigError(f"memory is {text!r}; expected an amount of at least 1M, as in 512M or 2G.")
    return size
