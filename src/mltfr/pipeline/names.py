"""The names of a run's items: read, and made into vectors with its token tables."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from scipy.sparse import csr_array

from mltfr.errors import ConfigError, MltfrWarning
from mltfr.fusion import FUSIONS
from mltfr.interactions import Split, Vocabulary
from mltfr.names.config import IDS, MEMORY
from mltfr.names.texts import ItemTexts, item_texts, texts_of_ids
from mltfr.names.vectors import NameVectors, coverage_of, item_words, name_vectors
from mltfr.pipeline.config import RunConfig
from mltfr.storage.progress import SILENT, Progress
from mltfr.tokens import PreparedTable, load_tables
from mltfr.tokens.spelling import load_spellings

FINGERPRINT = "names_fingerprint"
"""The fact of a run that says which names it was fitted with."""


def read_names(config: RunConfig, vocabulary: Vocabulary, given: Any = None) -> ItemTexts | None:
    """Return what is said about the items of a run; None where it uses no names.

    Args:
        config: the run's settings.
        vocabulary: the items.
        given: names in memory, or in another form that `item_texts` takes; None for what the settings say.

    Raises:
        DataError: they cannot be read, or none is of an item.
        ConfigError: they were given in memory, and are not.
    """
    if not config.names.are_used:
        return None
    if config.names.file == IDS:
        return texts_of_ids(vocabulary)
    if given is None and config.names.file == MEMORY:
        raise ConfigError(
            "names.file is 'memory': these names were given to Recommender(item_names=...), and no file has them. Give "
            "them again, or a file: --item-names FILE."
        )
    source = Path(config.names.file) if given is None else given
    return item_texts(source, config.names.columns, config.reading.item_column)


def named_as(names: Any) -> str | None:
    """Return what the settings call names that are given to a recommender: their path, "ids", or "memory"."""
    return None if names is None else str(names) if isinstance(names, str | PathLike) else MEMORY


def are_at_hand(config: RunConfig, given: Any) -> bool:
    """Return whether the names of a run can be read here and now: a finished run does without."""
    return given is not None or config.names.file == IDS or Path(config.names.file).is_file()


def run_name_words(
    config: RunConfig, texts: ItemTexts, vocabulary: Vocabulary, progress: Progress = SILENT
) -> tuple[csr_array, dict[str, Any]]:
    """Return the weight of every word of every item, `[I, U]`, and what the manifest says of them.

    Args:
        config: the run's settings.
        texts: what is said about the items.
        vocabulary: the items.
        progress: told how far the names reach.

    Raises:
        DataError: no item has a name with a word in it.
    """
    words = item_words(texts, vocabulary, config.names, config.tokens.control_seed)
    coverage = coverage_of(texts, vocabulary, words)
    for line in coverage.lines():
        progress.message(line)
    return words.weighted(config.names.idf), {"names": {"coverage": coverage.to_json()}}


def run_name_vectors(
    config: RunConfig,
    texts: ItemTexts,
    data: Split,
    tokens: Sequence[PreparedTable],
    progress: Progress = SILENT,
) -> tuple[NameVectors, dict[str, Any]]:
    """Return the vectors of a run's names, and what the manifest says of them; how far they reach is told.

    Args:
        config: the run's settings.
        texts: what is said about the items.
        data: the split, of which the items and the training histories are read.
        tokens: the tables that its fusion reads, which are the names' too unless one of them is a control.
        progress: told how far the names reach.

    Raises:
        DataError: no item has a name, or no table can spell one.
        TokenTableError: a table is missing or damaged.
    """
    names = config.names
    tables, spellings = tokens if names.read_tables else (), None
    if names.read_tables:
        if names.control == "random" or FUSIONS.get(config.fusion.name).cls.control != "none":
            tables = load_tables(config.tokens, control="random" if names.control == "random" else "none")
        spellings = load_spellings(config.tokens)
    width = names.dimensions or config.backbone.hidden  # type: ignore[union-attr]
    progress.start("reading names")
    histories, seed = data.train_histories(), config.tokens.control_seed
    found = name_vectors(texts, data.vocabulary, histories, names, width, tables, spellings, seed)
    for line in found.coverage.lines():
        progress.message(line)
    if found.agreement is not None:
        progress.message(found.agreement.line())
    if found.coverage.doubt is not None:
        warnings.warn(found.coverage.doubt, MltfrWarning, stacklevel=2)
    facts = {
        "width": width,
        "kept_variance": round(found.kept, 3),
        "tables": [{"name": table.name, "fingerprint": table.fingerprint} for table in tables],
        "coverage": found.coverage.to_json(),
    }
    if found.agreement is not None:
        facts["agreement"] = found.agreement.to_json()
    return found, {"names": facts}
