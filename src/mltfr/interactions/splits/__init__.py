"""How a log is split into training, validation and test: one file a method."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self, TypeVar

from pydantic import Field, PositiveInt, field_validator, model_validator

from mltfr.config import Config
from mltfr.errors import DataError
from mltfr.interactions.borders import Border, as_border, as_text, in_order
from mltfr.interactions.log import InteractionLog, OrderedLog
from mltfr.interactions.split import Split
from mltfr.interactions.splits.assemble import assemble
from mltfr.interactions.splits.given import given
from mltfr.interactions.splits.global_time import global_time, is_share
from mltfr.interactions.splits.leave_last import leave_last
from mltfr.interactions.splits.lengths import SplitLengths
from mltfr.interactions.splits.new_items import NEW_ITEMS, draw_items, hold_items

Log = TypeVar("Log", bound=OrderedLog)


class SplitConfig(Config):
    """How the log is split."""

    method: Literal["auto", "leave-one-out", "leave-last-n", "global-time", "given", "new-items"] = "auto"
    """Method; `auto` is the given split where the data has one, else leave-one-out. `new-items` holds items out of
    training altogether, and asks for them in the test; it needs their names (`names.new_items`)."""
    n: PositiveInt = 1
    """Items held out per user and split, for `leave-last-n`."""
    validation_from: Border = 0.8
    """Where validation starts, for `global-time`: a share of the interactions (below 1), or a time (see `filters`)."""
    test_from: Border = 0.9
    """Where the test starts, for `global-time`: a share of the interactions (below 1), or a time (see `filters`)."""

    share: float = Field(0.1, gt=0, lt=1)
    """Share of the items that are held out, for `new-items`."""
    seed: int = Field(0, ge=0)
    """Seed of which they are, for `new-items`."""

    @property
    def as_quantiles(self) -> bool:
        """Whether the moments are shares of the interactions instead of times."""
        return is_share(self.validation_from) and is_share(self.test_from)

    @field_validator("validation_from", "test_from", mode="before")
    @classmethod
    def _time(cls, value: object) -> object:
        return as_border(value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        owners = {
            "n": "leave-last-n",
            "validation_from": "global-time",
            "test_from": "global-time",
            "share": NEW_ITEMS,
            "seed": NEW_ITEMS,
        }
        for name, owner in owners.items():
            if self.method != owner and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"'{name}' belongs to the split '{owner}', but the method is '{self.method}'")
        if not in_order(self.validation_from, self.test_from):
            raise ValueError(f"validation_from ({self.validation_from}) must lie before test_from ({self.test_from})")
        if is_share(self.validation_from) != is_share(self.test_from):
            raise ValueError("validation_from and test_from must both be shares (0 to 1), or both timestamps")
        return self


def split(log: InteractionLog, config: SplitConfig | None = None) -> Split:
    """Divide a log into training, validation and test.

    Raises:
        DataError: the log is too small for the method, or lacks what it needs.
    """
    config, log = config or SplitConfig(), replace(log)  # what a copy caches goes with it
    if config.method == NEW_ITEMS:
        grouped = log.grouped
        held = draw_items(grouped, config.share, config.seed)
        name = f"{NEW_ITEMS}(share={config.share:g}, seed={config.seed})"
        return assemble(name, grouped, *hold_items(grouped, held), held)
    method, kept, lengths = split_lengths(log, config)
    return assemble(method, kept.grouped, lengths)


def split_lengths(log: Log, config: SplitConfig) -> tuple[str, Log, SplitLengths]:
    """Return how a split is called, with its parameters, the log of the users that are in it, and how it cuts them.

    Raises:
        DataError: the log lacks what the method needs.
    """
    method = config.method
    if method == NEW_ITEMS:
        raise DataError(
            f"{log.source}: the split '{NEW_ITEMS}' is made of a whole log, not beforehand and not by windows. "
            "Give the log to mltfr fit, with --item-names FILE --new-items."
        )
    if method == "auto":
        method = "given" if log.has_test else "leave-one-out"
    if method == "given":
        return method, *given(log)
    if method == "global-time":
        moments = (config.validation_from, config.test_from)
        name = "global-time(validation_from={}, test_from={})".format(*map(as_text, moments))
        return name, *global_time(log, *moments, as_quantiles=config.as_quantiles)
    name = f"leave-last-n(n={config.n})" if method == "leave-last-n" else method
    return name, log, leave_last(log, config.n)
