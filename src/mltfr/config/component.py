"""Settings whose model depends on a registered name: `backbone = {name = "sasrec", ...}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BeforeValidator, ValidationError

from mltfr.config.base import Config, explain
from mltfr.config.registry import Registry, lookup
from mltfr.errors import ConfigError, shown


class ComponentConfig(Config):
    """Settings of one registered class; `name` says which."""

    name: str
    """Name of the registered class."""


def component(*registries: Registry[Any, Any]) -> BeforeValidator:
    """Return the validator of a field that holds a component of one of the registries; the first says its kind.

    The field accepts a name, a table of settings with a `name`, or a config object. Declare it as
    `Annotated[SerializeAsAny[BackboneConfig], component(BACKBONES)]`.
    """

    def parse(value: Any) -> ComponentConfig:
        if isinstance(value, ComponentConfig):
            return value
        settings = {"name": value} if isinstance(value, str) else value
        if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
            kind = registries[0].kind
            raise ValueError(f"expected the name of a {kind}, or {kind}.name beside other settings, got {shown(value)}")
        try:
            entry = lookup(settings["name"], *registries)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        try:
            parsed: ComponentConfig = entry.config.model_validate({**settings, "name": entry.name})
        except ValidationError as error:
            text = f"{registries[0].kind} '{entry.name}': {explain(error, entry.config)}"
            raise ValueError(text + _owners(error, *registries)) from error
        return parsed

    return BeforeValidator(parse)


def _owners(error: ValidationError, *registries: Registry[Any, Any]) -> str:
    """Return a sentence, with a space before it, that says which components have an unknown setting; "" if none has."""
    first = error.errors()[0]
    if first["type"] != "extra_forbidden":
        return ""
    names = [each.name for registry in registries for each in registry if first["loc"][0] in each.config.model_fields]
    return f" '{first['loc'][0]}' is a setting of {', '.join(names)}." if names else ""

