"""Settings of the token tables that a recommender draws on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mltfr.config import Config
from mltfr.errors import TokenTableError
from mltfr.tokens.names import check_name

DEFAULT_TABLES = ("smollm2-135m", "wordllama", "minilm-l6")


class TokensConfig(Config):
    """Which token tables, and how they are prepared."""

    tables: tuple[str, ...] = DEFAULT_TABLES
    """Names of token tables, of the catalogue or imported; their order has no meaning."""
    prepare: Literal["default", "raw"] = "default"
    """`default`: cleaned, centred, reduced, unit norm. `raw`: as shipped; `width` and `align` have no effect."""
    width: int = Field(128, ge=1, le=4096)
    """Common width that every table is reduced to."""
    align: Literal["shared-words", "none"] = "shared-words"
    """Whether tables are rotated onto each other by the words that their vocabularies share."""
    control_seed: int = Field(0, ge=0)
    """Seed of the vectors that the controls, such as fusion `random`, read in place of the tables'."""

    @model_validator(mode="before")
    @classmethod
    def _no_control(cls, values: Any) -> Any:
        """Refuse the former setting `control`, but where it says `none`, as in run folders of that time."""
        if not isinstance(values, Mapping) or "control" not in values:
            return values
        if values["control"] != "none":
            raise ValueError(
                f"control is no setting any more. In place of fusion 'mltfr' choose '{values['control']}', its control."
            )
        return {key: value for key, value in values.items() if key != "control"}

    @field_validator("tables")
    @classmethod
    def _distinct_names(cls, tables: tuple[str, ...]) -> tuple[str, ...]:
        for name in tables:
            try:
                check_name(name)
            except TokenTableError as error:
                raise ValueError(str(error)) from error
        twice = sorted({name for name in tables if tables.count(name) > 1})
        if twice:
            raise ValueError(f"token table '{twice[0]}' is named twice. Name each table once.")
        return tables
