"""How a log is divided into training, validation and test: one file a way."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import PositiveInt, model_validator

from mltfr.config import Config
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.split import Split
from mltfr.interactions.splitters.given import given
from mltfr.interactions.splitters.global_time import global_time
from mltfr.interactions.splitters.leave_last import leave_last


class SplitConfig(Config):
    """How the log is divided."""

    method: Literal["auto", "leave-one-out", "leave-last-n", "global-time", "given"] = "auto"
    """Way of dividing; `auto` is the given split where the data has one, else leave-one-out."""
    n: PositiveInt = 1
    """Items held out per user and part, for `leave-last-n`."""
    validation_from: float = 0.8
    """Where validation starts, for `global-time`: a share of the interactions (below 1), or a timestamp."""
    test_from: float = 0.9
    """Where the test starts, for `global-time`: a share of the interactions (below 1), or a timestamp."""

    @property
    def as_quantiles(self) -> bool:
        """Whether the moments are shares of the interactions instead of times."""
        return 0 < self.validation_from < 1 and 0 < self.test_from < 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        owners = {"n": "leave-last-n", "validation_from": "global-time", "test_from": "global-time"}
        for name, owner in owners.items():
            if self.method != owner and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"'{name}' belongs to the split '{owner}', but the method is '{self.method}'")
        if self.validation_from >= self.test_from:
            raise ValueError(f"validation_from ({self.validation_from}) must lie before test_from ({self.test_from})")
        if (0 < self.validation_from < 1) != (0 < self.test_from < 1):
            raise ValueError("validation_from and test_from must both be shares (0 to 1), or both timestamps")
        return self


def split(log: InteractionLog, config: SplitConfig | None = None) -> Split:
    """Divide a log into training, validation and test.

    Raises:
        DataError: the log is too small for the method, or lacks what it needs.
    """
    config = config or SplitConfig()
    method = config.method
    if method == "auto":
        method = "given" if log.test is not None else "leave-one-out"
    if method == "given":
        return given(log, method)
    if method == "global-time":
        moments = (config.validation_from, config.test_from)
        return global_time(log, *moments, as_quantiles=config.as_quantiles, method=name_of(config, method))
    return leave_last(log, config.n, name_of(config, method))


def name_of(config: SplitConfig, method: str) -> str:
    """Return what a split is called, its parameters among it; `method` is what `auto` has become."""
    if method == "global-time":
        return f"global-time(validation_from={config.validation_from:g}, test_from={config.test_from:g})"
    return f"leave-last-n(n={config.n})" if method == "leave-last-n" else method
