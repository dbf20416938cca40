"""The log of a run, filtered and split: now, or when it was prepared."""

from __future__ import annotations

from mltfr.errors import ConfigError
from mltfr.interactions import (
    FilterConfig,
    FilterReport,
    InteractionLog,
    PreparedSet,
    Split,
    SplitConfig,
    apply_filters,
    split,
)
from mltfr.pipeline.config import RunConfig


def divided(config: RunConfig, log: InteractionLog | PreparedSet) -> tuple[RunConfig, Split, FilterReport]:
    """Return the settings, with a prepared set's filters and split in them, the split, and what each filter left.

    Raises:
        ConfigError: the settings ask for other filters or another split than those of a prepared set.
        DataError: the log cannot be filtered or split as asked.
    """
    if isinstance(log, InteractionLog):
        kept, report = apply_filters(log, config.filters)
        return config, split(kept, config.split), report
    for name, asked, default, prepared in (
        ("filters", config.filters, FilterConfig(), log.filters),
        ("split", config.split, SplitConfig(), log.split_config),
    ):
        for key in type(prepared).model_fields:
            wanted, there = getattr(asked, key), getattr(prepared, key)
            if wanted not in (getattr(default, key), there):
                raise ConfigError(
                    f"{name}.{key} is {wanted!r}, but {log.folder} was prepared with {there!r}. Leave the setting out, "
                    f"or prepare the log again: mltfr data prepare FILE --set {name}.{key}={wanted} --out FOLDER"
                )
    return config.model_copy(update={"filters": log.filters, "split": log.split_config}), log.split, log.report
