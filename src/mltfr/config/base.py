"""The base of every config model."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mltfr.errors import ConfigError, one_of, shown


class Config(BaseModel):
    """A closed, immutable set of settings; a field's docstring is its help text."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )

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
    path = [str(part) for part in first["loc"]]
    key = ".".join(path) or "the settings"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        owner = _model_at(model, path[:-1])
        hint = one_of(path[-1], owner.model_fields) if owner is not None else ""
        return f"unknown setting '{key}'. {hint}{more}"
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError | ValueError):
        return f"{key}: {cause}{more}" if path else f"{cause}{more}"
    return f"{key}: {first['msg']}, got {shown(first.get('input'))}{more}"


def _model_at(model: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    current: Any = model
    for part in path:
        field = getattr(current, "model_fields", {}).get(part)
        current = field.annotation if field is not None else None
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None
