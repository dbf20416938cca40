"""Items that training has not seen, in a run: their vectors learned, kept in its folder, and put beside its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from scipy.sparse import csr_array

from mltfr.baselines.name_knn import NameKNN
from mltfr.errors import ConfigError
from mltfr.evaluation import EvaluationProtocol
from mltfr.interactions import Split, Vocabulary
from mltfr.interactions.consistency import check_ids
from mltfr.names.new_items import REGULARISATIONS, NamesToVectors, NewItems, NewNames, names_to_vectors
from mltfr.pipeline.models import Model, NeuralModel, NewItemsModel
from mltfr.pipeline.new_item_weights import Weighed, weigh
from mltfr.storage.progress import SILENT, Progress

FILE = "new_items.parquet"
"""The items in the order of their codes, which are behind those that training knows: `item_id`, `vector`."""
WORDS = "item_words.parquet"
"""The words of all items: `code`, `word` (a number), `weight`."""


def learn_new_items(
    model: Model, names: NewNames, data: Split, protocol: EvaluationProtocol, progress: Progress = SILENT
) -> tuple[NewItems, dict[str, Any]]:
    """Return items that training has not seen with vectors, and what the manifest says of them.

    Args:
        model: the trained network.
        names: the names of its items, and of the others.
        data: the split, on whose validation examples it is chosen how far names tell vectors, and words count.
        protocol: how these are asked.
        progress: told how many there are, what names say of trained vectors, and what was chosen.
    """
    if not isinstance(model, NeuralModel):
        raise TypeError("only a network has item vectors")
    words, trained = NameKNN.of_words(names.words), model.trained_vectors().float().cpu().numpy()

    def judged(found: NamesToVectors) -> tuple[NamesToVectors, Weighed]:
        tensors = torch.from_numpy(found.vectors(names.new)), torch.from_numpy(found.as_new)
        weighed = weigh(model, *tensors, words, data, protocol) if names.item_ids else Weighed(0.5, 1.0)
        progress.advance()
        return found, weighed

    progress.start("placing new items", total=len(REGULARISATIONS))
    maps = names_to_vectors(names.known, trained, data.vocabulary.counts[1:])
    found, weighed = max(map(judged, maps), key=lambda each: (each[1].harmonic, each[0].explained))
    new = NewItems(names.item_ids, found.vectors(names.new), names.words, weighed.weight, weighed.factor)
    progress.message(
        f"new items: {len(new):,} that training has not seen get vectors from their names, which explain "
        f"{max(0.0, found.explained):.0%} of those of other items"
    )
    facts: dict[str, Any] = {
        "items": len(new),
        "regularisation": found.regularisation,
        "explained": round(found.explained, 4),
        "weight": new.weight,
        "factor": new.factor,
    }
    if len(new):
        facts["validation"] = {"as_new": weighed.as_new, "known": weighed.known, "without": weighed.alone}
    if weighed.as_new is not None:
        progress.message(
            f"new items: their words weigh {new.weight:.2f} beside the network, and their scores are multiplied by "
            f"{new.factor:.2g}; validation ndcg@10 {weighed.as_new:.4f} for targets taken as new, "
            f"{weighed.known:.4f} for these as they are, {weighed.alone:.4f} without new items"
        )
    return new, {"new_items": facts}


def beside_new_items(model: Model, new: NewItems | None) -> tuple[NewItemsModel, tuple[str, ...]]:
    """Return a model with new items behind its own, blended with their words, and their ids.

    Raises:
        ConfigError: there are no new items.
    """
    if new is None or not isinstance(model, NeuralModel):
        raise ConfigError(
            "This run has no vectors of items that training has not seen. Fit it with their names: mltfr fit ... "
            "--item-names FILE --new-items. (A blend and an updated run keep none.)"
        )
    wider = model.with_items(torch.from_numpy(new.vectors))
    return NewItemsModel(wider, NameKNN.of_words(new.words), new.weight, model.items, new.factor), new.item_ids


def words_table(new: NewItems) -> pl.DataFrame:
    """Return the words of all items as they are kept in a run folder."""
    cells = new.words.tocoo()
    return pl.DataFrame({"code": cells.row + 1, "word": cells.col, "weight": cells.data})


def new_items_table(new: NewItems) -> pl.DataFrame:
    """Return new items as they are kept in a run folder."""
    vectors = pl.Series("vector", new.vectors, dtype=pl.Array(pl.Float32, new.vectors.shape[1]))
    return pl.DataFrame([pl.Series("item_id", new.item_ids, dtype=pl.String), vectors])


def load_new_items(folder: Path, facts: Mapping[str, Any], width: int, vocabulary: Vocabulary) -> NewItems:
    """Read the new items of a run folder.

    Args:
        folder: the run folder.
        facts: what `learn_new_items` said of them.
        width: that of the model's `trained_vectors`.
        vocabulary: the items that training knows.

    Raises:
        ValueError, KeyError: they are not of this model.
        PolarsError: a file is no Parquet, or of other columns.
    """
    table = pl.read_parquet(folder / FILE, columns=["item_id", "vector"])
    check_ids(table["item_id"], "a new item")
    vectors = np.array(table["vector"].to_numpy(), np.float32).reshape(len(table), -1 if len(table) else width)
    if vectors.shape[1] != width or not vocabulary.codes.keys().isdisjoint(table["item_id"]):
        raise ValueError("the new items are of another run")
    code, word, weight = pl.read_parquet(folder / WORDS, columns=["code", "word", "weight"])
    shape = (len(vocabulary) + len(table), int(word.max() or 0) + 1)  # type: ignore[arg-type]
    words = csr_array((weight.to_numpy(), (code.to_numpy() - 1, word.to_numpy())), shape)
    return NewItems(tuple(table["item_id"]), vectors, words, facts["weight"], facts["factor"])
