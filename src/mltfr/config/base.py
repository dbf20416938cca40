"""The base of every config model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from mltfr.errors import ConfigError, closest, did_you_mean, one_of, shown


class Config(BaseModel):
    """A closed, immutable set of settings; a field's docstring says what it means."""

    # without `use_attribute_docstrings`: pydantic would parse the sources of all settings whenever they are imported
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    elsewhere: ClassVar[str] = ""
    """What somebody may look for who names a setting that is not here, as a sentence."""

    @classmethod
    def parse(cls, values: dict[str, Any], where: str = "config") -> Self:
        """Validate `values`, turning pydantic's report into one line.

        Args:
            values: nested settings.
            where: where they came from, named in the message.

        Raises:
            ConfigError: a setting is unknown, has the wrong type or is out of range.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{where}: {explain(error, cls)}") from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first problem of a pydantic report as one sentence with a remedy."""
    first = error.errors()[0]
    kind, context, given = first["type"], first.get("ctx", {}), first.get("input")
    path = [str(part) for part in first["loc"]]
    key = ".".join(path) or "the settings"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if kind == "extra_forbidden":
        return f"unknown setting '{key}'. {_hint(model, path)}{more}"
    cause = context.get("error")
    if isinstance(cause, ConfigError | ValueError):
        return f"{key}: {cause}{more}" if path else f"{cause}{more}"
    if kind == "model_type":
        owner = _model_of(_field_at(model, path))
        names = f" Set one of {', '.join(f'{key}.{name}' for name in owner.model_fields)}." if owner else ""
        return f"{key}: is a table of settings, as in `[{key}]`, got {shown(given)}.{names}{more}"
    if kind in ("tuple_type", "list_type"):
        parts = [part.strip() for part in given.split(",")] if isinstance(given, str) else [given]
        return f"{key}: expected a list, as in [{', '.join(map(shown, parts))}], got {shown(given)}{more}"
    if kind == "string_pattern_mismatch" and (field := _field_at(model, path)) is not None and field.examples:
        return f"{key}: expected one like {', '.join(map(str, field.examples))}, got {shown(given)}{more}"
    meant = did_you_mean(str(given), re.findall(r"'([^']*)'", context["expected"])) if kind == "literal_error" else ""
    return f"{key}: {first['msg']}, got {shown(given)}{'.' * bool(meant)}{meant}{more}"


def _hint(model: type[BaseModel], path: list[str]) -> str:
    """Return what to write instead of an unknown setting: one of the same name elsewhere, or one of a close name."""
    owner = _model_of(_field_at(model, path[:-1])) if path[1:] else model
    name, fields, known = path[-1], owner.model_fields if owner else (), dict(_settings(model))
    elsewhere = [key for key in known if key.rpartition(".")[2] == name]
    if not elsewhere and closest(name, fields) is None and (close := closest(name, known.values())) is not None:
        elsewhere = [key for key in known if key.rpartition(".")[2] == close]
    if elsewhere:
        return f"Did you mean {' or '.join(map(repr, elsewhere[:3]))}? Known: {', '.join(sorted(fields)) or 'none'}."
    more = f" {owner.elsewhere}" if owner and issubclass(owner, Config) and owner.elsewhere else ""
    return one_of(name, fields) + more if fields else ""


def _field_at(model: type[BaseModel], path: list[str]) -> FieldInfo | None:
    field: FieldInfo | None = None
    owner: type[BaseModel] | None = model
    for part in path:
        if not part.isdecimal():  # else an element of a list
            field = owner.model_fields.get(part) if owner is not None else None
            owner = _model_of(field)
    return field


def _model_of(field: FieldInfo | None) -> type[BaseModel] | None:
    """Return the model of a setting that is a table of settings, as it is by default; else None."""
    kind = type(field.default) if field and isinstance(field.default, BaseModel) else field and field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the name of every setting of a model and of the tables in it."""
    for name, field in model.model_fields.items():
        if (inner := _model_of(field)) is not None:
            yield from _settings(inner, f"{prefix}{name}.")
        yield prefix + name, name
