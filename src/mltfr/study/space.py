"""The search space of tuning: settings with their choices or ranges."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from mltfr.config import Config
from mltfr.study.settings import is_among

TUNABLE = ("backbone", "fusion", "objective", "tokens.width", "tokens.align", "training.gradient_clip",
           "training.learning_rate", "training.mask_ratio", "training.mask_last", "training.optimizer",
           "training.schedule", "training.warmup_steps", "training.weight_decay")  # fmt: skip
"""Settings that may differ between cells that are compared: not the loss, the batches or the stopping rule."""

Value = bool | int | float | str


class Range(Config):
    """Values between two ends, both included."""

    model_config = ConfigDict(validate_by_name=True)

    low: float
    """Lowest value."""
    high: float
    """Highest value."""
    log: bool = False
    """Whether the logarithm is searched evenly."""
    whole: bool = Field(False, alias="int")
    """Whether the values are whole numbers (`int = true`)."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must lie below high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must begin above 0, got {self.low:g}")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"a range of whole numbers has whole ends, got {self.low:g} and {self.high:g}")
        return self


class TuningConfig(Config):
    """A search on validation, the same for every backbone with every fusion."""

    trials: int = Field(ge=1)
    """Trials of each group; the first one is of the settings as they are."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the search and of its trainings."""
    space: dict[str, Range | tuple[Value, ...]] = Field(min_length=1)
    """Settings to choose, with a list of choices or a range; groups that lack a setting are tuned in the others."""

    @field_validator("space")
    @classmethod
    def _fair(cls, space: dict[str, Any]) -> dict[str, Any]:
        for key, choices in space.items():
            if key.endswith(".name") or not is_among(key, TUNABLE):
                raise ValueError(
                    f"'{key}' may not be tuned: cells that are compared have the same loss, batches, stopping rule, "
                    f"data and evaluation. What may: {', '.join(TUNABLE)}"
                )
            if isinstance(choices, tuple) and len(set(choices)) < max(2, len(choices)):
                raise ValueError(f"'{key}' needs at least two choices, all different")
        return space
