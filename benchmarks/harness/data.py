"""The log that everything is measured on: a given file, or a synthetic one of Beauty's size."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.result import Result
from harness.settings import Settings
from mltfr.interactions import (
    Examples,
    Histories,
    InteractionLog,
    Split,
    SplitConfig,
    Vocabulary,
    load_interactions,
    split,
)
from mltfr.interactions.synthetic import SyntheticConfig, synthetic

# Amazon Beauty, 5-core: 22,363 users, 12,101 items, 198,502 interactions.
BEAUTY = SyntheticConfig(users=22_363, items=12_101, topics=100, mean_length=198_502 / 22_363)


def read_log(settings: Settings) -> InteractionLog:
    """Return the log."""
    if settings.data is not None:
        return load_interactions(settings.data)
    return synthetic(BEAUTY, settings.seed).log


def read_split(settings: Settings) -> Split:
    """Return the log, split leave-one-out."""
    return split(read_log(settings), SplitConfig())


def made_up_split(items: int, users: int, seed: int, least: int = 10, most: int = 30) -> Split:
    """Return random histories of `least` to `most` interactions with any number of items, split leave-one-out."""
    random = np.random.default_rng(seed)
    lengths = random.integers(least, most + 1, users)
    histories = Histories(np.r_[0, lengths.cumsum()], random.integers(1, items + 1, lengths.sum(), np.int32))
    vocabulary = Vocabulary(tuple(map(str, range(1, items + 1))), np.r_[0, np.ones(items, np.int64)])
    validation, test = (Examples(np.arange(users), lengths - back) for back in (2, 1))
    ids = tuple(map(str, range(users)))
    return Split("leave-one-out", ids, vocabulary, histories, lengths - 2, validation, test)


def log_file(settings: Settings, folder: Path) -> Path:
    """Return the log as a file; the synthetic one is written into `folder`."""
    if settings.data is not None:
        return Path(settings.data)
    path = folder / "synthetic.csv"
    read_log(settings).frame.write_csv(path)
    return path


def describe(settings: Settings) -> list[Result]:
    """Say what is measured on, in the form of a row."""
    parts = read_split(settings)
    name = Path(settings.data).name if settings.data is not None else "synthetic log of Beauty's size"
    size = f"{len(parts.user_ids):,} users, {len(parts.vocabulary):,} training items"
    rows = len(parts.histories.items)
    return [Result(f"{name}: {size}, {rows:,} interactions", "interactions", [rows])]
