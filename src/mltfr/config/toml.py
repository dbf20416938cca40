"""TOML in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w

from mltfr.config.base import Config
from mltfr.errors import ConfigError
from mltfr.storage.parse import parse_toml

MAX_LENGTH = 1 << 18
"""Characters of a settings file at most, so that whatever they are it is read in seconds; the largest hold some
thousand words."""


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: the file is missing, is not TOML, or is longer than `MAX_LENGTH`.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_LENGTH + 1)
        if len(text) > MAX_LENGTH:
            raise ConfigError(f"{path}: longer than {MAX_LENGTH:,} characters, so it is no file of settings.")
        return parse_toml(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error


def dump_toml(config: Config) -> str:
    """Return the complete config as TOML; settings that are None are left out."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))
