"""Nested settings by dotted key: written so, such as `training.epochs=50`, and compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mltfr.config.merge import with_names
from mltfr.errors import ConfigError, shown
from mltfr.storage.parse import MAX_LEVELS, parse_toml


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return every single value of nested settings by its dotted key, such as `training.epochs`."""
    flat: dict[str, Any] = {}
    for key, value in with_names(settings).items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
    return flat


def parse_overrides(overrides: Iterable[str] | Mapping[str, Any] | str) -> dict[str, Any]:
    """Return the nested settings that overrides set, as a layer for `merge`.

    Values of texts are written as in TOML; a bare word is a string, so `backbone.name=bert4rec` works.

    Args:
        overrides: a text such as `training.epochs=50`, or several; or settings by key, nested or dotted.

    Raises:
        ConfigError: a text has no `=`, names more tables within each other than a file may, or goes through
            something that is not a table.
    """
    settings: dict[str, Any] = {}
    texts = [overrides] if isinstance(overrides, str) else overrides
    for key, value in flatten(texts).items() if isinstance(texts, Mapping) else map(_pair, texts):
        *path, last = _parts(key)
        table = settings
        for part in path:
            if isinstance(table.get(part), str):  # "fusion" given by name only
                table[part] = {"name": table[part]}
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"the setting {shown(key)}: '{part}' is a value, not a table.")
        table[last] = value
    return settings


def _pair(override: str) -> tuple[str, Any]:
    if not isinstance(override, str):
        raise ConfigError(f"settings are texts KEY=VALUE, or a dict, got {shown(override)}.")
    key, separator, text = override.partition("=")
    if not separator or not all(part.strip() for part in key.split(".")):
        raise ConfigError(f"the setting {shown(override)} is not KEY=VALUE. Example: training.epochs=50")
    return key.strip(), _value(text.strip())


def _parts(key: str) -> list[str]:
    if key.count(".") >= MAX_LEVELS:
        raise ConfigError(f"the setting {shown(key)}: a key has at most {MAX_LEVELS} parts.")
    return key.split(".")


def _value(text: str) -> Any:
    try:
        document = parse_toml(f"value = {text}")
    except ValueError:
        return text
    return document["value"] if len(document) == 1 else text  # further lines would be further settings


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what differs between nested settings in words: `training.epochs was 3 and is 4`, by key.

    Of components with different names the name alone.
    """
    before, now = flatten(old), flatten(new)
    other = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    renamed = tuple(key.removesuffix("name") for key in other if key.endswith(".name"))
    return [
        "{} was {} and is {}".format(key, *(_shown(values, key) for values in (before, now)))
        for key in other
        if key.endswith(".name") or not key.startswith(renamed)
    ]


def _shown(values: Mapping[str, Any], key: str) -> str:
    return "not set" if values.get(key) is None else json.dumps(values[key], default=str, ensure_ascii=False)[:80]
