"""A planted signal: a made-up log whose next items follow from the tokens of a made-up table.

Whether a fusion reads a token table or merely has more parameters shows here: the bare backbone and a table
that means nothing cannot know what follows at places that training has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveInt

from mltfr.config import Config
from mltfr.interactions import Examples, Histories, Split, Vocabulary
from mltfr.tokens.matrix import unit_rows
from mltfr.tokens.table import PreparedTable

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.int64]
GRID = 720
"""Rotations of the circle that `PlantedSignal.hit_rate` tries."""


class PlantedConfig(Config):
    """Size and shape of a planted signal."""

    train_users: PositiveInt = 16_000
    """Users that are trained on, all of them at places outside the hidden arcs."""
    held_out_users: PositiveInt = 1000
    """Users of validation and of test each, all of them in the hidden arcs."""
    tokens: PositiveInt = 480
    """Tokens of the table (V)."""
    width: PositiveInt = 16
    """Width of the table (W), at least `2 + 2 * len(frequencies)`."""
    frequencies: tuple[int, ...] = (3, 5, 7)
    """What a token knows of its place `a`: cos and sin of `f * a` for each of these."""
    place_weight: float = Field(4.0, gt=0)
    """Length of the part of a token that tells its place, relative to the part that tells its facts."""
    cue_items: PositiveInt = 60
    """Items that hint at a place, evenly spaced on the circle."""
    cues: PositiveInt = 4
    """Cues in a history."""
    concentration: float = Field(4.0, gt=0)
    """How closely cues gather around a user's place (kappa of a von Mises distribution)."""
    answer_items: PositiveInt = 40
    """Items that follow from a token's facts."""
    certainty: float = Field(12.0, gt=0)
    """How strongly the facts decide which answer follows."""
    hidden_arcs: PositiveInt = 3
    """Arcs of the circle that training has not seen."""
    hidden_share: float = Field(0.35, gt=0, lt=1)
    """Share of the circle that they cover."""


@dataclass(frozen=True)
class PlantedSignal:
    """A log, a table, and the truth that connects them.

    Attributes:
        split: training users, and held-out users with one example each: the answer.
        table: the token table.
        angles: place of every token on the circle, in radians, `[V]`.
        token: int64, for every user of `split` the token that the answer follows from.
        best_ndcg: NDCG@10 of who knows that token, over the test part.
    """

    split: Split
    table: PreparedTable
    angles: Floats
    token: Indices
    best_ndcg: float

    def hit_rate(self, kept: Indices, user: Indices) -> float:
        """Return how often the token that an answer follows from is among the kept ones.

        The signal has no zero angle and no sense of rotation: with all places turned or mirrored, a reader of
        the table finds the same facts, differently oriented, which its value map turns back. So a filter may
        settle on any orientation. It is fitted on every other user, and the hits are counted on the rest.

        Args:
            kept: token ids `[E, K]`.
            user: int64 `[E]`, row in `split` of who keeps them.
        """
        place = self.angles[self.token[user]]                                   # [E]

        def hits(part: slice, sense: int, turn: float) -> float:
            expected = _nearest(self.angles, sense * place[part] + turn)          # [e]
            return float((kept[part] == expected[:, None]).any(axis=1).mean())

        fitting, counting = slice(0, None, 2), slice(1, None, 2)
        orientations = [(sense, turn) for sense in (1, -1) for turn in np.linspace(0, 2 * np.pi, GRID, endpoint=False)]
        best = max(orientations, key=lambda orientation: hits(fitting, *orientation))
        return hits(counting, *best)


def planted_signal(config: PlantedConfig | None = None, seed: int = 0) -> PlantedSignal:
    """Make a log and a table that share a structure which only the two together reveal.

    Tokens have a place on a circle and facts: the values of some waves at that place. A user has a place as
    well; the history is a few cues scattered around it, and the last item, the answer, is drawn by the facts of
    the token nearest to the mean of the cues. Answers at places in the hidden arcs occur in validation and test
    only. There the backbone can but guess; who has found the tokens' places reads their facts.

    Raises:
        ValueError: the table is too narrow for its facts.
    """
    config = config or PlantedConfig()
    rng = np.random.default_rng(seed)
    facts = 2 * len(config.frequencies)
    if config.width < 2 + facts:
        raise ValueError(f"width is {config.width}, but place and facts take {2 + facts} columns.")
    angles = 2 * np.pi * (np.arange(config.tokens) + rng.random(config.tokens)) / config.tokens    # [V]
    waves = np.outer(angles, config.frequencies)                                # [V, F]
    known = np.concatenate([np.cos(waves), np.sin(waves)], 1) / len(config.frequencies) ** 0.5     # [V, 2F]
    table = _table(angles, known, config, rng)

    cue_places = _circle(2 * np.pi * rng.permutation(config.cue_items) / config.cue_items)         # [C, 2]
    answers = unit_rows(rng.standard_normal((config.answer_items, facts)))       # [J, 2F]
    chance = _softmax(config.certainty * known @ answers.T)                      # [V, J]
    # more users than are needed, since a place decides in which part a user can be
    enough = int(2 * (config.train_users / (1 - config.hidden_share) + 2 * config.held_out_users / config.hidden_share))
    places = _circle(rng.uniform(0, 2 * np.pi, enough))                         # [U, 2]
    near = _softmax(config.concentration * places @ cue_places.T)               # [U, C]
    cues = np.stack([_draw(near, rng) for _ in range(config.cues)], 1)          # [U, cues]
    middle = cue_places[cues].mean(1)                                           # [U, 2]
    token = _nearest(angles, np.arctan2(middle[:, 1], middle[:, 0]))            # [U]
    answer = _draw(chance[token], rng)                                          # [U]

    hidden = (angles[token] / (2 * np.pi) * config.hidden_arcs) % 1 < config.hidden_share          # [U]
    parts = [
        np.flatnonzero(~hidden)[: config.train_users],
        np.flatnonzero(hidden)[: config.held_out_users],
        np.flatnonzero(hidden)[config.held_out_users : 2 * config.held_out_users],
    ]
    users = np.concatenate(parts)
    codes = np.concatenate([cues, config.cue_items + answer[:, None]], 1)[users] + 1
    test = parts[2]
    better = (chance[token[test]] > chance[token[test], answer[test], None]).sum(1)
    return PlantedSignal(
        split=_split(codes, [len(part) for part in parts], config),
        table=table,
        angles=angles,
        token=token[users].astype(np.int64),
        best_ndcg=float(np.where(better < 10, 1 / np.log2(better + 2), 0).mean()),
    )


def _table(angles: Floats, known: Floats, config: PlantedConfig, rng: np.random.Generator) -> PreparedTable:
    """Return the tokens, turned so that no column means anything by itself, centred and of unit norm."""
    vectors = np.zeros((config.tokens, config.width))
    vectors[:, :2] = config.place_weight * _circle(angles)
    vectors[:, 2 : 2 + known.shape[1]] = known
    rotation, _ = np.linalg.qr(rng.standard_normal((config.width, config.width)))
    vectors = vectors @ rotation
    prepared = unit_rows(vectors - vectors.mean(0)).astype(np.float32)
    prepared.setflags(write=False)
    return PreparedTable("planted", prepared, tuple(f"word{number}" for number in range(config.tokens)))


def _split(codes: npt.NDArray[np.integer[Any]], sizes: list[int], config: PlantedConfig) -> Split:
    """Return users that are trained on from the first to the last item, and others of whom the last is held out."""
    train, validation, test = sizes
    items = config.cue_items + config.answer_items
    length = codes.shape[1]
    held_out = [np.arange(train, train + validation), np.arange(train + validation, sum(sizes))]
    return Split(
        method="planted",
        user_ids=tuple(f"u{number}" for number in range(len(codes))),
        vocabulary=Vocabulary(
            tuple(f"i{number}" for number in range(items)),
            np.bincount(codes[:train].ravel(), minlength=items + 1).astype(np.int64),
        ),
        histories=Histories(np.arange(len(codes) + 1, dtype=np.int64) * length, codes.ravel().astype(np.int32)),
        train_length=np.where(np.arange(len(codes)) < train, length, 0).astype(np.int64),
        validation=Examples(held_out[0], np.full(validation, length - 1)),
        test=Examples(held_out[1], np.full(test, length - 1)),
    )


def _circle(angles: Floats) -> Floats:  # [...] -> [..., 2]
    return np.stack([np.cos(angles), np.sin(angles)], -1)


def _nearest(angles: Floats, places: Floats) -> Indices:  # [V], [U] -> [U]
    """Return the token nearest to every place; `angles` ascend within one turn."""
    places = places % (2 * np.pi)
    after = np.searchsorted(angles, places)
    pair = np.stack([after - 1, after], 1) % len(angles)                        # [U, 2], around the circle
    closer: Indices = np.cos(angles[pair] - places[:, None]).argmax(1)
    return pair[np.arange(len(places)), closer]


def _softmax(scores: Floats) -> Floats:
    weights: Floats = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def _draw(chance: Floats, rng: np.random.Generator) -> Indices:  # [N, C] -> [N]
    """Draw one column of every row."""
    drawn: Indices = (chance.cumsum(1) < rng.random((len(chance), 1))).sum(1)
    return drawn.clip(max=chance.shape[1] - 1)  # sums may end just below 1
