"""User-guided token filtering: which tokens of one table matter at a position."""

from __future__ import annotations

import math
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from mltfr.config import Config
from mltfr.errors import ConfigError
from mltfr.fusion.choice import TokenChoice
from mltfr.fusion.initial import variance_preserving
from mltfr.fusion.shortlist import Shortlist
from mltfr.tokens.table import PreparedTable

START_SCALE = 14.0
LARGEST_SCALE = 100.0


class TokenFilterConfig(Config):
    """Which tokens of each table a position keeps."""

    chosen_by: Literal["position", "user", "nobody"] = "position"
    """Who asks for the kept tokens: each `position`, with its prefix (the whole history if the backbone is
    bidirectional); the `user`, once, with the whole history, which only prefixes can train; or `nobody`, for no
    filter: `keep` tokens of every table, drawn once by the seed, the same for all and of one weight."""
    keep: int = Field(8, ge=2)
    """Tokens kept per position and table (K); with one, an expert's output would not depend on the position."""
    shortlist: int = Field(512, ge=2)
    """Tokens of each table that are candidates between two refreshes (M)."""
    refresh_queries: int = Field(1024, ge=1)
    """Training users whose queries choose the shortlist at a refresh."""
    query: Literal["mean", "exponential"] = "mean"
    """What a position of a causal backbone asks with: the mean of its prefix, or one that decays."""
    query_decay: float = Field(0.8, gt=0, le=1)
    """Weight of an item relative to the next one in the exponential query."""
    noise: float = Field(1.0, ge=0)
    """Gumbel noise on the scores at the start of training; there is none outside training."""
    noise_epochs: float = Field(5.0, gt=0)
    """Epochs of a round after which the noise, falling linearly, is zero."""

    @model_validator(mode="after")
    def _user_asks_with_the_mean(self) -> Self:
        if self.chosen_by == "user" and self.query == "exponential":
            raise ValueError(
                "query = 'exponential' looks back from a position, but chosen_by = 'user' asks once. "
                "Set query to 'mean', or chosen_by to 'position'"
            )
        return self

    @model_validator(mode="after")
    def _shortlist_holds_kept(self) -> Self:
        if self.keep > self.shortlist:
            raise ValueError(f"keep is {self.keep}, more than the shortlist's {self.shortlist} tokens")
        return self


class TokenFilter(TokenChoice):
    """What is kept of one table depends on: its shortlist, the projection of its tokens, and the scale of the scores.

    `score = scale * cos(query, P(token))`. The choice needs no gradient; the kept tokens are scored again with
    one, and the softmax of their scores enters the expert's attention. `TokenFilters` does it for all tables.

    Args:
        table: the prepared table.
        hidden: width D of the queries.
        config: settings.

    Raises:
        ConfigError: the table has fewer tokens than are to be kept.
    """

    noise_level: Tensor
    """The noise as a number on the filter's device."""

    def __init__(self, table: PreparedTable, hidden: int, config: TokenFilterConfig) -> None:
        super().__init__()
        check_size(table, config)
        self.config = config
        self.keep = config.keep
        self.shortlist = Shortlist(table, config.shortlist)
        self.projection = variance_preserving(nn.Linear(table.shape[1], hidden))
        self.log_scale = nn.Parameter(torch.tensor(math.log(START_SCALE)))
        self.noise = config.noise
        self.register_buffer("noise_level", torch.tensor(config.noise), persistent=False)

    def refresh(self, queries: Tensor) -> float:  # [Q, D]
        """Choose the shortlist that covers the queries."""
        return self.shortlist.choose(queries, self.project, self.keep)

    def set_progress(self, epochs: float) -> None:
        """Anneal the noise."""
        self.noise = self.config.noise * max(0.0, 1 - epochs / self.config.noise_epochs)
        self.noise_level.fill_(self.noise)

    def diagnostics(self) -> dict[str, float]:
        """Return the scale."""
        return {"scale": self.scale().item()}

    def scale(self) -> Tensor:
        """Return what cosines are multiplied by, a scalar."""
        return to_scale(self.log_scale)

    def project(self, vectors: Tensor) -> Tensor:  # [M, W] -> [M, D]
        """Return the projected tokens, unit norm."""
        return functional.normalize(self.projection(vectors), dim=-1)


def to_scale(log_scale: Tensor) -> Tensor:
    """Return scales from their logarithms, capped."""
    return log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()


def check_size(table: PreparedTable, config: TokenFilterConfig) -> None:
    """Check that a table has the tokens that are to be kept.

    Raises:
        ConfigError: it has fewer.
    """
    if config.keep > table.shape[0]:
        raise ConfigError(f"keep is {config.keep}, but token table '{table.name}' has {table.shape[0]} tokens.")
