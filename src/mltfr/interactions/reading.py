"""How a log is read: its format and its columns, as settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import field_validator

from mltfr.config import Config
from mltfr.interactions.columns import Columns
from mltfr.interactions.where import parse_where


class ReadingConfig(Config):
    """How the log is read; what is not given is recognised."""

    format: str | None = None
    """Format of the file; recognised by its content if not given."""
    user_column: str | None = None
    """Name of the users' column, where it is not a usual one."""
    item_column: str | None = None
    """Name of the items' column, or of several with commas between them, whose values are joined into one id."""
    timestamp_column: str | None = None
    """Name of the times' column."""
    time_format: str | None = None
    """How the times are written, where that is not clear, as in `%d/%m/%Y %H:%M`."""
    columns: tuple[str, ...] | None = None
    """Names of all columns of delimited text without a header."""
    skip_invalid: bool = False
    """Whether invalid rows are dropped and counted."""

    @field_validator("columns", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        value = value.split(",") if isinstance(value, str) else value
        if not isinstance(value, list | tuple):
            return value
        return tuple(name.strip() if isinstance(name, str) else name for name in value)

    @classmethod
    def of(cls, *values: Any) -> Self:
        """Return the settings of which these are the values, in their order.

        Raises:
            ConfigError: one has the wrong type.
        """
        return cls.parse(dict(zip(cls.model_fields, values, strict=True)), "how the log is read")

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `load_interactions` that say so."""
        return {name: getattr(self, name) for name in ReadingConfig.model_fields}

    def for_rows(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return how another table of rows is read: as this log, but for what is given.

        Args:
            given: arguments of `load_interactions`; None and False are not given.
        """
        usual = {**self.arguments, "format": None if self.format == "folder" else self.format}  # rows are no folder
        return {**usual, **{name: value for name, value in given.items() if value}}

    def names(self, where: str | None) -> Columns:
        """Return the names of the columns that were asked for.

        Args:
            where: a condition on the rows, which reads further columns.

        Raises:
            ConfigError: it is no condition.
        """
        condition = parse_where(where) if where is not None else None
        return Columns(self.user_column, self.item_column, self.timestamp_column, self.columns or (), condition)


AS_USUAL = ReadingConfig()
"""Everything is recognised."""
