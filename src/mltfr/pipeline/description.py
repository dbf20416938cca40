"""What a log, or a prepared set, looks like to a run with some settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mltfr.errors import ConfigError, DataError
from mltfr.interactions import FilterConfig, InteractionLog, PreparedSet, SplitConfig, apply_filters, split
from mltfr.interactions.prepare import PreparationConfig
from mltfr.interactions.statistics import PreparedStatistics, Statistics, describe, describe_prepared
from mltfr.pipeline.config import EvaluationConfig
from mltfr.pipeline.data_counts import DataCounts, count_data


class DescriptionConfig(PreparationConfig):
    """Settings of a run that a description follows."""

    evaluation: EvaluationConfig = EvaluationConfig()
    """How scores are measured."""


@dataclass(frozen=True)
class Description:
    """A log, or a prepared set, in numbers.

    Attributes:
        statistics: of its interactions, after the filters.
        counts: how large its parts are; None where no user has anything to predict.
    """

    statistics: Statistics | PreparedStatistics
    counts: DataCounts | None

    def to_json(self) -> dict[str, Any]:
        """Return the document that `data describe --json` prints."""
        return {**asdict(self.statistics), "counts": None if self.counts is None else self.counts.to_json()}


def describe_data(log: InteractionLog | PreparedSet, settings: DescriptionConfig) -> Description:
    """Describe a log after the filters of some settings, or a prepared set.

    Raises:
        ConfigError: the settings ask for filters or a split of a prepared set, which has its own.
        DataError: the log cannot be filtered or split as asked.
    """
    if isinstance(log, PreparedSet):
        if (settings.filters, settings.split) != (FilterConfig(), SplitConfig()):
            raise ConfigError(f"{log.folder}: is a prepared set, filtered before. Leave out --set and --where.")
        return Description(describe_prepared(log), count_prepared(log, settings.evaluation))
    kept, report = apply_filters(log, settings.filters)
    try:
        parts = split(kept, settings.split)
    except DataError:
        if kept.has_test or settings.split != SplitConfig():
            raise
        return Description(describe(kept), None)
    counts = count_data(parts, settings.evaluation.protocol(parts.method), report.steps)
    return Description(describe(kept, parts), counts)


def count_prepared(prepared: PreparedSet, evaluation: EvaluationConfig | None = None) -> DataCounts:
    """Count the parts of a prepared set; its histories are read once.

    Args:
        prepared: the set.
        evaluation: how scores will be measured; as by default if not given.
    """
    protocol = (evaluation or EvaluationConfig()).protocol(prepared.split.method)
    return count_data(prepared.split, protocol, prepared.report.steps)
