"""Synthetic interaction logs with planted structure, for tests and demonstrations without a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, PositiveInt

from mltfr.config import Config
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.raw import ITEM, TIME, USER


class SyntheticConfig(Config):
    """Size and structure of a synthetic log."""

    users: PositiveInt = 1000
    """Number of users."""
    items: PositiveInt = 400
    """Number of items."""
    topics: PositiveInt = 10
    """Latent topics; every item has one."""
    mean_length: float = Field(12.0, ge=4)
    """Mean length of a history; none is shorter than 4."""
    follow: float = Field(0.6, ge=0, le=1)
    """Chance that the next item is the one planted as the current item's successor."""
    stay: float = Field(0.9, ge=0, le=1)
    """Chance that an item that does not follow so is of the current topic."""
    skew: float = Field(0.8, ge=0)
    """Exponent of the items' popularity within a topic: 0 all alike, 1 Zipf's law."""


@dataclass(frozen=True)
class SyntheticLog:
    """A synthetic log and the truth behind it.

    Attributes:
        log: the interactions, with times.
        item_ids: every item's id, also of those nobody chose.
        topics: int64 `[I]`; topic of every item, in the order of `item_ids`.
        successors: int64 `[I]`; index of the item that is planted to come next, of the same topic.
    """

    log: InteractionLog
    item_ids: tuple[str, ...]
    topics: npt.NDArray[np.int64]
    successors: npt.NDArray[np.int64]


def synthetic(config: SyntheticConfig | None = None, seed: int = 0) -> SyntheticLog:
    """Make a log whose next item follows from the last one, so that order matters.

    Within a topic the items form one cycle, each pointing to its successor. A user starts anywhere; the next
    item is the successor with chance `follow`, else a popular item of the current topic with chance `stay`,
    else a popular item of any topic.

    Raises:
        ValueError: there are more topics than items.
    """
    config = config or SyntheticConfig()
    if config.topics > config.items:
        raise ValueError(f"{config.topics} topics need at least as many items, got {config.items}.")
    rng = np.random.default_rng(seed)
    topics = rng.permutation(np.arange(config.items) % config.topics)
    members, sizes, starts = _members(topics, config.topics, rng)
    successors = np.empty(config.items, dtype=np.int64)
    place = np.arange(config.items) - np.repeat(starts, sizes)
    successors[members] = members[np.repeat(starts, sizes) + (place + 1) % np.repeat(sizes, sizes)]

    lengths = 4 + rng.poisson(config.mean_length - 4, config.users)
    steps = int(lengths.max())
    history = np.empty((config.users, steps), dtype=np.int64)  # [U, L]
    current = _popular(rng.integers(0, config.topics, config.users), members, sizes, starts, config.skew, rng)
    for step in range(steps):
        history[:, step] = current
        elsewhere = rng.integers(0, config.topics, config.users)
        topic = np.where(rng.random(config.users) < config.stay, topics[current], elsewhere)
        jump = _popular(topic, members, sizes, starts, config.skew, rng)
        current = np.where(rng.random(config.users) < config.follow, successors[current], jump)

    times = 1_700_000_000 + rng.integers(0, 10_000_000, (config.users, 1))
    times = times + np.cumsum(rng.integers(60, 86_400, (config.users, steps)), axis=1)
    real = np.arange(steps) < lengths[:, None]
    item_ids = tuple(f"i{index:04d}" for index in range(config.items))
    rows, columns = np.nonzero(real)
    frame = pl.DataFrame(
        {
            USER: pl.Series([f"u{index:04d}" for index in range(config.users)]).gather(rows),
            ITEM: pl.Series(item_ids).gather(history[rows, columns]),
            TIME: pl.Series(times[rows, columns], dtype=pl.Int64),
        }
    ).sort(TIME, maintain_order=True)
    return SyntheticLog(InteractionLog(frame, f"synthetic log, seed {seed}", "synthetic"), item_ids, topics, successors)


def _members(
    topics: npt.NDArray[np.int64], count: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the items topic by topic, the most popular first, and every topic's size and start."""
    shuffled = rng.permutation(len(topics))
    members = shuffled[np.argsort(topics[shuffled], kind="stable")]
    sizes = np.bincount(topics, minlength=count)
    return members, sizes, np.cumsum(sizes) - sizes


def _popular(
    topic: npt.NDArray[np.int64],
    members: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    skew: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Draw an item of every given topic, its weight being `(rank + 1) ** -skew`."""
    weights = np.arange(1, sizes.max() + 1, dtype=np.float64) ** -skew
    cumulative = np.cumsum(weights)
    draw = rng.random(len(topic)) * cumulative[sizes[topic] - 1]
    rank = np.searchsorted(cumulative, draw, side="right")
    return members[starts[topic] + np.minimum(rank, sizes[topic] - 1)]
