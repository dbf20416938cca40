"""What a run reads: the log, filtered and split, its token tables, and the vectors and names of items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from mltfr.baselines import BASELINES
from mltfr.errors import ConfigError, DataError
from mltfr.fusion import FUSIONS
from mltfr.fusion.adapter import AdapterConfig
from mltfr.interactions import (
    FilterConfig,
    FilterReport,
    InteractionLog,
    PreparedSet,
    ReadingConfig,
    Split,
    SplitConfig,
    apply_filters,
    load_interactions,
    split,
)
from mltfr.interactions.item_features import read_item_features
from mltfr.interactions.sources import require_there
from mltfr.names.config import IDS, MEMORY
from mltfr.names.texts import ItemTexts
from mltfr.names.vectors import NameVectors
from mltfr.pipeline.auto import settle
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.names import run_name_vectors, run_name_words
from mltfr.storage.folder import MANIFEST
from mltfr.storage.progress import SILENT, Progress
from mltfr.tokens import PreparedTable, describe, load_tables
from mltfr.training import launched, make_trackers

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tables:
    """What a run's fusion reads beside the hidden states.

    Attributes:
        tokens: the prepared token tables, or placeholders of their shapes.
        item_vectors: float32 `[I + 1, W]`, the user's vectors of the items, or zeros of that shape; None where the
            fusion reads none.
        facts: what the manifest says of them.
        names: the vectors of the items' names; None where there are none, or the weights are there already.
        words: the weight of every word of every item, `[I, U]`, for a baseline that reads names; None otherwise.
    """

    tokens: list[PreparedTable]
    item_vectors: Vectors | None
    facts: dict[str, Any]
    names: NameVectors | None = None
    words: csr_array | None = None


def check_files(config: RunConfig, folder: Path | None = None) -> None:
    """Check, before the log is read, that what else a fit needs is there: names, item vectors, a teacher, trackers.

    Args:
        config: every setting.
        folder: run folder; a finished run in it is only looked at, and needs none of them.

    Raises:
        DataError: a file or a folder is not there.
        MissingExtraError: a tracker is not installed.
    """
    if folder is not None and (folder / MANIFEST).exists():
        return
    if not launched()[0]:  # the other processes of a training track nothing
        make_trackers(config.trackers)
    vectors = config.fusion.vectors if isinstance(config.fusion, AdapterConfig) else ""
    names = config.names.file if config.names.are_used and config.names.file not in (IDS, MEMORY) else ""
    for given in filter(None, (names, vectors, config.distillation.teacher)):
        require_there(Path(given))


def read_log(config: RunConfig, log: InteractionLog | PreparedSet | Any) -> InteractionLog | PreparedSet:
    """Return a log as a run's settings read it, if it was not read before.

    Raises:
        DataError: it is not a usable log.
    """
    if isinstance(log, InteractionLog | PreparedSet):
        return log
    return load_interactions(log, **config.reading.arguments, **config.filters.arguments)


def split_log(config: RunConfig, log: InteractionLog | PreparedSet) -> tuple[RunConfig, Split, dict[str, Any]]:
    """Filter and split the log, or reuse a prepared set.

    Returns:
        The settings, with those that the log was read with, a prepared set's filters and split, and what "auto" comes
        to on this log, in them; the split; what the manifest says of both.

    Raises:
        ConfigError: the settings ask for another reading than the log's, or for other filters or another split than
            those of a prepared set.
        DataError: the log cannot be filtered or split as asked.
    """
    if config.reading not in (ReadingConfig(), log.reading):
        raise ConfigError(
            f"{log.source}: the settings ask for another reading of the log ([reading]) than this one had. Leave these "
            "settings out, or fit the file itself."
        )
    config = config.model_copy(update={"reading": log.reading})
    if isinstance(log, InteractionLog):
        kept, report = apply_filters(log, config.filters)
        config = config.model_copy(update={"filters": config.filters.as_read(log)})
        data = split(kept, config.split)
    else:
        _check_prepared(config, log)
        config = config.model_copy(update={"filters": log.filters, "split": log.split_config})
        data, report = log.split, log.report
    config = settle(config, data)
    return config, data, _facts(config, log, data, report)


def read_new_rows(config: RunConfig, source: Any, **reading: Any) -> InteractionLog:
    """Return a log of rows that came after a run's.

    Args:
        config: the run's settings.
        source: an `InteractionLog`, or whatever `load_interactions` takes.
        reading: options of `load_interactions` where a file is not read as the run's was.

    Raises:
        DataError: the log is not usable, or a prepared set.
    """
    log = source
    if not isinstance(source, InteractionLog | PreparedSet):
        log = load_interactions(source, **config.filters.arguments, **config.reading.for_rows(reading))
    if isinstance(log, PreparedSet):
        raise DataError(
            f"{log.folder}: is a prepared set, whose rows were filtered and split for a fit. Give the log of new rows."
        )
    return log


def load_run_tables(config: RunConfig, progress: Progress = SILENT) -> list[PreparedTable]:
    """Return the token tables that a run reads, prepared as it says; a control's hold other vectors.

    Args:
        config: the run's settings.
        progress: receives downloads and preparations.

    Raises:
        TokenTableError: a table is unknown or damaged.
        FetchError: one cannot be fetched, or is missing while MLTFR_OFFLINE=1.
    """
    if not config.tokens.tables:
        return []
    return load_tables(config.tokens, progress=progress, control=FUSIONS.get(config.fusion.name).cls.control)


def read_tables(
    config: RunConfig, data: Split, progress: Progress = SILENT, texts: ItemTexts | None = None
) -> Tables:
    """Return what a run reads beside the log: token tables, for an adapter the user's item vectors, and names.

    Args:
        config: the run's settings.
        data: the split, whose items they are about.
        progress: receives downloads and preparations, and is told how far vectors and names reach.
        texts: what is said about the items, where the run uses it; None in an update, whose weights have it already.

    Raises:
        TokenTableError: a token table is unknown or damaged.
        FetchError: one cannot be fetched, or is missing while MLTFR_OFFLINE=1.
        DataError: the file of item vectors is not usable, or an item has no vector in it; or no table spells a name.
    """
    if texts is not None and BASELINES.find(config.backbone.name) is not None:
        words, of_names = run_name_words(config, texts, data.vocabulary, progress)
        return Tables([], None, {"tables": [], **of_names}, words=words)
    tokens: list[PreparedTable] = []
    facts: dict[str, Any] = {}
    if texts is not None or not config.names.are_used or FUSIONS.get(config.fusion.name).cls.needs_tables:
        tokens = load_run_tables(config, progress)  # else names alone did, and nobody reads them again
        facts["tables"] = describe(tokens)
    vectors = names = None
    if isinstance(config.fusion, AdapterConfig):
        found = read_item_features(Path(config.fusion.vectors), data.vocabulary, config.fusion.missing)
        items, width = len(data.vocabulary), found.vectors.shape[1]
        there = items - len(found.missing)
        progress.message(f"item vectors of {found.source}: {there:,} of {items:,} items, width {width}")
        vectors, facts["item_vectors"] = found.vectors, found.report()
    if texts is not None:
        names, of_names = run_name_vectors(config, texts, data, tokens, progress)
        facts |= of_names
    return Tables(tokens, vectors, facts, names)


def placeholder_tables(facts: Mapping[str, Any], items: int) -> Tables:
    """Return zeros of the shapes of what a run was fitted with; the values are in its weights.

    Args:
        facts: its manifest.
        items: number of items I.
    """
    tokens = [PreparedTable.placeholder(table["name"], *table["shape"]) for table in facts["tables"]]
    width = facts["item_vectors"]["width"] if "item_vectors" in facts else 0
    return Tables(tokens, np.zeros((items + 1, width), np.float32) if width else None, {})


def _facts(
    config: RunConfig, log: InteractionLog | PreparedSet, data: Split, report: FilterReport
) -> dict[str, Any]:
    return {
        "seed": config.seed,
        "source": Path(log.source).name,
        "data_fingerprint": log.fingerprint(),
        "notes": list(log.notes),
        "filters": [asdict(step) for step in report.steps],
        "split": data.method,
        "left_out": dict(data.left_out),
    }


def _check_prepared(config: RunConfig, log: PreparedSet) -> None:
    """Check that the settings ask for nothing else than what a set was prepared with."""
    for name, asked, default, prepared in (
        ("filters", config.filters, FilterConfig(), log.filters),
        ("split", config.split, SplitConfig(), log.split_config),
    ):
        for key in type(prepared).model_fields:
            value, there = getattr(asked, key), getattr(prepared, key)
            if value not in (getattr(default, key), there):
                raise ConfigError(
                    f"{name}.{key} is {value!r}, but {log.folder} was prepared with {there!r}. Leave the setting out, "
                    f"or prepare the log again: mltfr data prepare FILE --set {name}.{key}={value} --out FOLDER"
                )
