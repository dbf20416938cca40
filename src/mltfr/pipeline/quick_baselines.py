"""The baselines beside a run: those that take seconds on its log, fitted to the same training split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from mltfr.baselines import BASELINES
from mltfr.baselines.item_knn import ItemKNNConfig
from mltfr.baselines.markov import MarkovConfig
from mltfr.baselines.popularity import Popularity
from mltfr.evaluation import EvaluationProtocol
from mltfr.inference import FallbackScorer, Scorer
from mltfr.interactions import Split
from mltfr.pipeline.fitted import FittedModel
from mltfr.training import Callback

QUICK = ("popularity", "markov", "item-knn")
"""Baselines that most logs take seconds for, the weakest first as a rule."""
QUICK_WITH_NAMES = (*QUICK, "name-knn")
"""Those where items have names."""
MOST_SECONDS = 30.0
"""Estimated seconds that one of them may take."""
MOST_CELLS = 20_000_000
"""Similarities or transitions that one may keep: a quarter of a gigabyte, far less than a training on such a log
takes."""
SAID_FROM = 5.0
"""Estimated seconds of all of them from which it is said that they are fitted."""
PER_PAIR, PER_SUM, PER_SCORE = 4e-8, 1e-8, 3e-9
"""Seconds of one thread for two items of a user, for a weight that is added up, and for a score that is compared:
measured on MovieLens 100K, MovieLens latest-small and Amazon Beauty with a core of 2.1 GHz."""


def quick_baselines(
    fitted: FittedModel, callback: Callback, names: Sequence[str] = QUICK, words: csr_array | None = None
) -> tuple[list[str], dict[str, float]]:
    """Return the baselines that are fitted beside a run, and those that are not, with their estimated seconds.

    It depends on the log and the settings alone, so that a run done again has the same metrics. A run is not put
    beside itself. Popularity is counted already, and always there.

    Args:
        fitted: the run.
        callback: told where they take a while.
        names: those that come into question.
        words: `[I, U]`, the weights of the words of items, which name-knn is made of.
    """
    chosen: dict[str, float] = {}
    skipped: dict[str, float] = {}
    for name in names:
        if name == fitted.config.backbone.name or (name != "popularity" and not fitted.config.evaluation.baselines):
            continue
        seconds, _ = cost_of(name, fitted.split, fitted.protocol(), words)
        if is_quick(name, fitted.split, fitted.protocol(), words):
            chosen[name] = seconds
        else:
            skipped[name] = round(seconds, 1)
    total, names = sum(chosen.values()), ", ".join(name for name in chosen if name != "popularity")
    if names and total >= SAID_FROM:
        callback.message(f"fitting {names} to compare with (about {total:.0f} s; --no-baselines leaves them out)")
    return list(chosen), skipped


def fit_beside(name: str, data: Split, words: csr_array | None = None) -> Scorer:
    """Return a baseline with its usual settings, fitted to the training split of a log; it scores as a run of it.

    Args:
        name: one of `QUICK_WITH_NAMES`.
        data: the log, split.
        words: `[I, U]`, the weights of the words of items, for name-knn.
    """
    counts, entry = data.vocabulary.counts, BASELINES.get(name)
    popularity = Popularity.of_counts(counts)
    if entry.cls is Popularity:
        return popularity
    return FallbackScorer(entry.cls.fit(entry.config(name=name), data.train_histories(), counts, words), popularity)


def is_quick(name: str, data: Split, protocol: EvaluationProtocol, words: csr_array | None = None) -> bool:
    """Return whether a quick baseline takes seconds and little memory on this log; popularity always does."""
    seconds, cells = cost_of(name, data, protocol, words)
    return name == "popularity" or (seconds <= MOST_SECONDS and cells <= MOST_CELLS)


def cost_of(
    name: str, data: Split, protocol: EvaluationProtocol, words: csr_array | None = None
) -> tuple[float, float]:
    """Return the estimated seconds of a quick baseline, fitted and scored, and the weights that it keeps at most.

    Args:
        name: one of `QUICK_WITH_NAMES`.
        data: the log, split.
        protocol: how many examples are scored.
        words: `[I, U]`, the weights of the words of items, for name-knn.
    """
    items, lengths = len(data.vocabulary), data.train_length.astype(np.float64)
    most = protocol.max_examples or len(data.histories.items)
    examples = float(sum(min(most, len(part)) for part in (data.validation, data.test)))
    seconds = examples * items * PER_SCORE
    history = float(lengths.mean()) if len(lengths) else 0.0
    if name == "item-knn":
        neighbours = ItemKNNConfig()
        pairs = 2 * _pairs(lengths, neighbours.lags)
        cells = min(pairs, items * float(min(items, neighbours.neighbours)))
    elif name == "markov":
        chain = MarkovConfig()
        pairs = _pairs(lengths, chain.lags)
        cells = min(pairs, float(items) ** 2)
        history = min(history, float(chain.newest))
    elif BASELINES.get(name).cls.reads_names and words is not None:
        having = np.bincount(words.indices, minlength=words.shape[1]).astype(np.float32)        # [U], items with a word
        counts = data.vocabulary.counts[1:]
        near = float(counts @ ((words != 0).astype(np.float32) @ having)) / max(1, int(counts.sum()))
        return seconds + examples * min(history * near, float(words.nnz)) * PER_SUM, float(words.nnz)
    else:
        return seconds, 0.0
    return seconds + pairs * PER_PAIR + examples * history * cells / max(1, items) * PER_SUM, cells


def _pairs(lengths: npt.NDArray[np.float64], lags: int) -> float:
    """Return how many pairs of items stand at most `lags` apart in histories of such lengths."""
    return float(sum(np.maximum(lengths - lag, 0).sum() for lag in range(1, lags + 1)))
