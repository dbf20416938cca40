"""TOML in and out."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from mltfr.config.base import Config
from mltfr.errors import ConfigError


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error


def dump_toml(config: Config) -> str:
    """Return the complete config as TOML; settings that are None are left out."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))
