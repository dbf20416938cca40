"""Settings of MLTFR, preset `default`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mltfr.config import Config
from mltfr.fusion.base import FusionConfig
from mltfr.fusion.mltfr.queries import EXPONENTIAL_PER_SEQUENCE


class TokenFilterConfig(Config):
    """Which tokens of each table are kept."""

    granularity: Literal["position", "sequence", "static"] = "position"
    """What tokens are kept for: each `position`, with the history up to it (all of it if the backbone is
    bidirectional); a whole `sequence`, which only prefixes can train; or `static`, no filter: `keep` tokens of every
    table, drawn once by the seed, the same for all and of one weight."""
    keep: int = Field(8, ge=2)
    """Tokens kept per position and table (K); with one, an expert's output would not depend on the position."""
    shortlist: int = Field(768, ge=2)
    """Tokens of each table that are candidates between two refreshes (M)."""
    hysteresis: float = Field(0.5, ge=0)
    """By what share more often than a token of the shortlist another one must be asked for to take its place."""
    refresh_queries: int = Field(1024, ge=1)
    """Training histories whose queries choose the shortlist at a refresh, drawn from the whole log."""
    query_from: Literal["items", "input"] = "items"
    """What queries are made of: the vectors of the `items`, so that training asks as inference does; or the stack's
    `input`, which in training is dropped out, so that other tokens are kept then."""
    query: Literal["mean", "exponential"] = "mean"
    """What a position of a causal backbone asks with: the mean of its history, or one that decays."""
    query_decay: float = Field(0.8, gt=0, le=1)
    """Weight of an item relative to the next one in the exponential query."""
    null_key: bool = False
    """Whether a position attends to none of its tokens as far as the rest of the shortlist outscores them, so that
    `delta` shrinks where no token fits; without it, the weights of the kept tokens sum to one. A planted signal that is
    found without it is lost with it (docs/decisions/token-filter.md)."""
    noise: float = Field(1.0, ge=0)
    """Gumbel noise on the scores at the start of training; there is none outside training."""
    noise_steps: int = Field(1000, ge=1)
    """Optimisation steps of a round after which the noise, falling linearly, is zero."""
    query_projection: bool = True
    """Whether queries are turned by a linear map that is learned and starts as the identity."""
    rate_factor: float = Field(10.0, gt=0)
    """Learning rate of the filter's projections, of tokens and queries, as a multiple of `training.learning_rate`."""

    @property
    def has_null_key(self) -> bool:
        """Whether there is a null key; without a filter nothing says how well tokens fit."""
        return self.null_key and self.granularity != "static"

    @model_validator(mode="after")
    def _check(self) -> TokenFilterConfig:
        if self.granularity == "sequence" and self.query == "exponential":
            raise ValueError(EXPONENTIAL_PER_SEQUENCE)
        if self.keep > self.shortlist:
            raise ValueError(
                f"keep is {self.keep}, more than the shortlist's {self.shortlist} tokens. Lower fusion.filter.keep, or "
                "raise fusion.filter.shortlist"
            )
        return self


class MltfrConfig(FusionConfig):
    """Settings of token filtering and routing."""

    name: Literal["mltfr"] = "mltfr"
    filter: TokenFilterConfig = TokenFilterConfig()
    """Which tokens of each table are kept."""
    heads: int = Field(4, ge=1)
    """Heads of an expert (H), a divisor of the hidden width."""
    router: Literal["learned", "mean"] = "learned"
    """How much each expert counts at a position: `learned` from its state, or `mean`, all the same everywhere."""
    common_start: bool = True
    """Whether all experts start with the same values, or each with its own, which averaging partly cancels."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Dropout on an expert's attention and on its output; the backbone's if not given. With less of it than the
    backbone has, a fusion learns the histories by heart where they are short (docs/decisions/fusion-dropout.md)."""
    consensus_group: tuple[str, ...] = ()
    """Tables whose experts make the consensus expert; all of them if none is named."""
    consensus_weight: float = Field(0.1, ge=0)
    """Weight of the consensus expert in round 2 (lambda); 0 leaves round 2 out."""

    @model_validator(mode="after")
    def _an_item_asks_for_itself(self) -> Self:
        looks_back = [
            f"filter.{name} = '{value}'"
            for name, value in (("granularity", self.filter.granularity), ("query", self.filter.query))
            if value in ("sequence", "exponential")
        ]
        if self.site == "items" and looks_back:
            raise ValueError(
                f"{looks_back[0]} is about histories, and with site = 'items' every item asks for itself. Leave it "
                "out, or set site to a block"
            )
        return self

    def dropout_beside(self, backbone: float) -> float:
        """Return the dropout beside a backbone that has `backbone`."""
        return backbone if self.dropout is None else self.dropout

    @property
    def knows_later_items(self) -> bool:
        """Whether one query for a sequence, the mean of all its items, serves every position."""
        return self.filter.granularity == "sequence"
