"""What stands beside a run that is asked for items it has never seen: random order, and the parts of its blend."""

from __future__ import annotations

from typing import Any

import numpy as np

from mltfr.baselines.popularity import Popularity
from mltfr.evaluation import evaluate
from mltfr.inference import Scorer
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import NewItemsModel
from mltfr.storage.progress import SILENT, Progress

RANDOM, WORDS, VECTORS = "random order", "like words", "vectors alone"
"""Names of the rows."""


def new_item_rows(fitted: FittedModel, progress: Progress = SILENT) -> dict[str, dict[str, Any]]:
    """Return test metrics beside a run that was asked for new items, by the names of the rows.

    These are random order, as expected over all orders, and the two members of the run's blend: `NameKNN`, and
    the network with the vectors of new items.

    Args:
        fitted: a run whose split holds items out of training.
        progress: receives how many examples are ranked.
    """
    tested = fitted.for_test()
    rows: dict[str, Scorer] = {RANDOM: Popularity.of_counts(np.ones(len(tested.split.vocabulary) + 1, np.int64))}
    if isinstance(tested.model, NewItemsModel):
        network, words = tested.model.members
        rows |= {WORDS: words.scorer(), VECTORS: network.scorer()}
    return {
        name: {"test": dict(evaluate(scorer, tested.split, "test", tested.protocol(), progress=progress).metrics)}
        for name, scorer in rows.items()
    }
