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
from mltfr.fusion.averages import Averages
from mltfr.fusion.initial import variance_preserving
from mltfr.fusion.largest import largest
from mltfr.fusion.positions import Positions
from mltfr.fusion.rows import POSITIONS_AT_ONCE
from mltfr.fusion.shortlist import Shortlist
from mltfr.tokens.table import PreparedTable

START_SCALE = 14.0
LARGEST_SCALE = 100.0
WATCHED = 8


class TokenFilterConfig(Config):
    """Which tokens of each table a position keeps."""

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
    def _shortlist_holds_kept(self) -> Self:
        if self.keep > self.shortlist:
            raise ValueError(f"keep is {self.keep}, more than the shortlist's {self.shortlist} tokens")
        return self


class TokenFilter(nn.Module):
    """Keeps the `K` tokens of one table's shortlist that score best, with differentiable weights.

    `score = scale * cos(query, P(token))`. The choice needs no gradient; `TokenFilters` scores the kept tokens
    again with one, and the softmax of their scores enters the expert's attention.

    Args:
        table: the prepared table.
        hidden: width D of the queries.
        config: settings.

    Raises:
        ConfigError: the table has fewer tokens than are to be kept.
    """

    def __init__(self, table: PreparedTable, hidden: int, config: TokenFilterConfig) -> None:
        super().__init__()
        if config.keep > table.shape[0]:
            raise ConfigError(f"keep is {config.keep}, but token table '{table.name}' has {table.shape[0]} tokens.")
        self.keep = config.keep
        self.shortlist = Shortlist(table, config.shortlist)
        self.projection = variance_preserving(nn.Linear(table.shape[1], hidden))
        self.log_scale = nn.Parameter(torch.tensor(math.log(START_SCALE)))
        self.noise = config.noise

    def scale(self) -> Tensor:
        """Return what cosines are multiplied by, a scalar."""
        return self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()

    def project(self, vectors: Tensor) -> Tensor:  # [M, W] -> [M, D]
        """Return the projected tokens, unit norm."""
        return functional.normalize(self.projection(vectors), dim=-1)

    def select(
        self, query: Tensor, positions: Positions, tokens: Tensor, averages: Averages
    ) -> tuple[Tensor, Tensor]:
        """Return the rows of the `K` tokens with the highest score, and their cosines, `[P, K]` each; exact.

        In training Gumbel noise is added, drawn once per user and token.

        Args:
            query: unit queries `[P, D]`.
            positions: those that ask.
            tokens: the projected tokens `[M, D]`.
            averages: takes what is worth logging.
        """
        with torch.no_grad(), torch.autocast(query.device.type, enabled=False):
            query, tokens = query.float(), tokens.float()
            noise = self._noise(positions.shape[0], tokens)                     # [B, M] or None
            at_once = POSITIONS_AT_ONCE if positions.by_hand else max(len(query), 1)
            rows, cosines = [], []
            chunks = zip(torch.split(query, at_once), torch.split(positions.users, at_once), strict=True)
            for some, users in chunks:
                cosine = some @ tokens.T                                        # [p, M], stays in the cache
                noisy = cosine if noise is None else cosine + noise.index_select(0, users)
                rows.append(largest(noisy, self.keep, positions.by_hand))       # [p, K]
                cosines.append(cosine.gather(-1, rows[-1]))                     # [p, K]
            kept = torch.cat(rows)                                              # [P, K]
            if self.training and len(kept) and averages.wants("stability"):
                seen = slice(None, None, -(-len(kept) // WATCHED))              # evenly spaced
                without = (query[seen] @ tokens.T).topk(self.keep, dim=-1).indices    # [p, K]
                same = without.unsqueeze(-1) == kept[seen].unsqueeze(-2)        # [p, K, K]
                averages.add("stability", same.any(-1).float().mean())
            return kept, torch.cat(cosines)

    def _noise(self, users: int, tokens: Tensor) -> Tensor | None:  # [M, D] -> [B, M]
        """Return what training adds to the cosines of every user."""
        if not self.training or self.noise == 0:
            return None
        gumbel = torch.rand(users, len(tokens), device=tokens.device).log_().neg_().log_().neg_()
        return gumbel * (self.noise / self.scale())
