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
            raise ValueError(f"expected a {registries[0].kind}'s name or a table with one, got {shown(value)}")
        try:
            entry = lookup(settings["name"], *registries)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        try:
            parsed: ComponentConfig = entry.config.model_validate({**settings, "name": entry.name})
        except ValidationError as error:
            raise ValueError(f"{registries[0].kind} '{entry.name}': {explain(error, entry.config)}") from error
        return parsed

    return BeforeValidator(parse)

