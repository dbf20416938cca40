"""`--set KEY=VALUE` on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from mltfr.errors import ConfigError


def apply_overrides(values: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return a copy of nested settings with every `a.b.c=value` set.

    Values are written as in TOML; a bare word is a string, so `backbone.name=bert4rec` works.

    Raises:
        ConfigError: an override has no `=`, or goes through something that is not a table.
    """
    result = deepcopy(values)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not all(part.strip() for part in key.split(".")):
            raise ConfigError(f"--set {override!r} is not KEY=VALUE. Example: --set training.epochs=50")
        *path, last = key.strip().split(".")
        table = result
        for part in path:
            if isinstance(table.get(part), str):  # "fusion" given by name only
                table[part] = {"name": table[part]}
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"--set {override!r}: '{part}' is a value, not a table.")
        table[last] = _value(text.strip())
    return result


def _value(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text  # further lines would be further settings
