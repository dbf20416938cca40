"""A made-up token table: pronounceable words in clusters of meaning, for trials and tests without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mltfr.tokens.sources.base import OpenTable, TokenSource, TokenSourceConfig, register_source
from mltfr.tokens.table import TokenTable
from mltfr.tokens.vocabulary import TokenStrings

_LATENT = 24
"""Dimensions of meaning behind the vectors."""
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


class SyntheticConfig(TokenSourceConfig):
    """A seeded table."""

    name: Literal["synthetic"] = "synthetic"
    seed: int = Field(0, ge=0)
    """Seed of the words and their meaning."""
    tokens: int = Field(4000, ge=2, le=100_000)
    """Words; tables with one seed share their first ones."""
    width: int = Field(64, ge=2)
    """Width of the table."""
    clusters: int = Field(80, ge=1)
    """Groups of words with a similar meaning."""
    view: int = Field(0, ge=0)
    """Which model sees the words: views of one seed agree on the meaning, not on the space it lies in."""


@dataclass(frozen=True)
class SyntheticWords:
    """Words with a meaning.

    Attributes:
        words: `V` different words.
        clusters: int `[V]`; cluster of every word.
        meaning: `[V, 24]`; words of a cluster lie near each other.
    """

    words: tuple[str, ...]
    clusters: npt.NDArray[np.int64]
    meaning: npt.NDArray[np.float64]


@register_source("synthetic", SyntheticConfig)
class SyntheticSource(TokenSource):
    """Made-up words and vectors from a seed; nothing is read or fetched."""

    def __init__(self, config: SyntheticConfig) -> None:
        self.config = config

    @contextmanager
    def open(self) -> Iterator[OpenTable]:
        """Draw the table."""
        config = self.config
        drawn = synthetic_words(config)
        embeddings = _seen_by(drawn.meaning, config)
        yield OpenTable(
            shape=(config.tokens, config.width),
            dtype=np.dtype(np.float32),
            chunks=lambda: iter([embeddings]),
            strings=TokenStrings(tuple("▁" + word for word in drawn.words)),
            provenance={"file": None, "source": "synthetic", "settings": config.model_dump(mode="json")},
        )


def synthetic_table(config: SyntheticConfig, name: str = "synthetic") -> TokenTable:
    """Return a made-up table, in memory."""
    with SyntheticSource(config).open() as table:
        return TokenTable(name, table.read(), table.strings.tokens, table.provenance)


def synthetic_words(config: SyntheticConfig) -> SyntheticWords:
    """Return the words behind a made-up table, with their clusters: the truth that a test can compare with."""
    generator = np.random.default_rng([config.seed, 0])
    centres = generator.standard_normal((config.clusters, _LATENT))
    # Word by word, so that a longer table begins with a shorter one's words.
    words: dict[str, None] = {}
    clusters, meaning = [], []
    while len(words) < config.tokens:
        syllables = int(generator.integers(2, 5))
        consonants = generator.integers(len(_CONSONANTS), size=syllables)
        vowels = generator.integers(len(_VOWELS), size=syllables)
        word = "".join(_CONSONANTS[c] + _VOWELS[v] for c, v in zip(consonants, vowels, strict=True))
        if word in words:
            continue
        words[word] = None
        clusters.append(int(generator.integers(config.clusters)))
        meaning.append(centres[clusters[-1]] + 0.4 * generator.standard_normal(_LATENT))
    return SyntheticWords(tuple(words), np.array(clusters), np.array(meaning))


def _seen_by(meaning: npt.NDArray[np.float64], config: SyntheticConfig) -> npt.NDArray[Any]:
    """Return meaning in one model's space: rotated or projected, moved off the origin, with noise."""
    generator = np.random.default_rng([config.seed, 1, config.view])
    directions = generator.standard_normal((_LATENT, config.width)) / np.sqrt(config.width)
    offset = generator.standard_normal(config.width)
    noise = 0.1 * generator.standard_normal((len(meaning), config.width))
    return (meaning @ directions + offset + noise).astype(np.float32)
