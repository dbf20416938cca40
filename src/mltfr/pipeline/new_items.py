"""Items that training has not seen, in a run: their vectors learned, kept in its folder, and put beside its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from mltfr.errors import ConfigError
from mltfr.interactions import Vocabulary
from mltfr.interactions.consistency import check_ids
from mltfr.names.new_items import NewItems, NewNames, names_to_vectors
from mltfr.pipeline.models import Model, NeuralModel
from mltfr.storage.progress import SILENT, Progress

FILE = "new_items.parquet"
"""The items in the order of their codes, which are behind those that training knows: `item_id`, `vector`."""


def learn_new_items(
    model: Model, names: NewNames, vocabulary: Vocabulary, progress: Progress = SILENT
) -> tuple[NewItems, dict[str, Any]]:
    """Return vectors of items that training has not seen, and what the manifest says of them.

    Args:
        model: the trained network.
        names: the names of its items, and of the others.
        vocabulary: its items.
        progress: told how many there are, and what names say of trained vectors.
    """
    if not isinstance(model, NeuralModel):
        raise TypeError("only a network has item vectors")
    found = names_to_vectors(names.known, model.trained_vectors().float().cpu().numpy(), vocabulary.counts[1:])
    progress.message(
        f"new items: {len(names.item_ids):,} that training has not seen get vectors from their names, which explain "
        f"{max(0.0, found.explained):.0%} of those of other items"
    )
    facts = {
        "items": len(names.item_ids),
        "regularisation": found.regularisation,
        "explained": round(found.explained, 4),
    }
    return NewItems(names.item_ids, found.vectors(names.new)), {"new_items": facts}


def beside_new_items(model: Model, new: NewItems | None) -> tuple[NeuralModel, tuple[str, ...]]:
    """Return a model with new items behind its own, and their ids.

    Raises:
        ConfigError: there are no new items.
    """
    if new is None or not isinstance(model, NeuralModel):
        raise ConfigError(
            "This run has no vectors of items that training has not seen. Fit it with their names: mltfr fit ... "
            "--item-names FILE --new-items. (A blend and an updated run keep none.)"
        )
    return model.with_items(torch.from_numpy(new.vectors)), new.item_ids


def new_items_table(new: NewItems) -> pl.DataFrame:
    """Return new items as they are kept in a run folder."""
    vectors = pl.Series("vector", new.vectors, dtype=pl.Array(pl.Float32, new.vectors.shape[1]))
    return pl.DataFrame([pl.Series("item_id", new.item_ids, dtype=pl.String), vectors])


def load_new_items(path: Path, width: int, vocabulary: Vocabulary) -> NewItems:
    """Read the new items of a run folder.

    Args:
        path: their file.
        width: that of the model's `trained_vectors`.
        vocabulary: the items that training knows.

    Raises:
        ValueError: they are not of this model.
        PolarsError: the file is no Parquet, or of other columns.
    """
    table = pl.read_parquet(path, columns=["item_id", "vector"])
    check_ids(table["item_id"], "a new item")
    vectors = np.array(table["vector"].to_numpy(), np.float32).reshape(len(table), -1 if len(table) else width)
    if vectors.shape[1] != width or not vocabulary.codes.keys().isdisjoint(table["item_id"]):
        raise ValueError("the new items are of another run")
    return NewItems(tuple(table["item_id"]), vectors)
