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
from mltfr.fusion.rows import Kept, row_dot
from mltfr.fusion.shortlist import Shortlist
from mltfr.tokens.table import PreparedTable

START_SCALE = 14.0
LARGEST_SCALE = 100.0
WATCHED_USERS = 8


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

    `score = scale * cos(query, P(token))`. The choice needs no gradient; the kept tokens are scored again
    with one, and the softmax of their scores enters the expert's attention.

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

    def forward(self, query: Tensor, averages: Averages) -> tuple[Kept, Tensor]:
        """Return the kept tokens, as rows of the shortlist, and the log of their weights.

        K comes first: sums over the kept tokens then run over contiguous memory.

        Args:
            query: unit queries `[B, Q, D]`; Q is L, or 1 where all positions ask the same.
            averages: takes what is worth logging.

        Returns:
            Rows `[K, B, Q]` and float `[K, B, Q]`; the exponentials sum to 1 over K.
        """
        tokens = self.project(self.shortlist.vectors)                           # [M, D]
        scale = self.scale()                                                    # []
        rows = self.select(query.detach(), tokens.detach(), scale.detach(), averages)  # [K, B, Q]
        kept = Kept(rows, by_hand=self.training or not torch.is_grad_enabled())
        score = scale * row_dot(query, tokens, kept).squeeze(-1)                # [K, B, Q]
        return kept, score.log_softmax(0)

    def scale(self) -> Tensor:
        """Return what cosines are multiplied by, a scalar."""
        return self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()

    def project(self, vectors: Tensor) -> Tensor:  # [M, W] -> [M, D]
        """Return the projected tokens, unit norm."""
        return functional.normalize(self.projection(vectors), dim=-1)

    def select(self, query: Tensor, tokens: Tensor, scale: Tensor, averages: Averages) -> Tensor:
        """Return the rows of the `K` tokens with the highest score, `[K, B, Q]`; exact, best first.

        In training Gumbel noise is added, drawn once per user and token.
        """
        with torch.no_grad(), torch.autocast(query.device.type, enabled=False):
            cosine = query.float() @ tokens.float().T                           # [B, Q, M]
            noisy = cosine
            if self.training and self.noise > 0:
                gumbel = torch.rand_like(cosine[:, :1]).log_().neg_().log_().neg_()  # [B, 1, M]
                noisy = cosine + gumbel * (self.noise / scale)
            kept = noisy.topk(self.keep, dim=-1).indices                        # [B, Q, K]
            if self.training:
                watched = cosine[:WATCHED_USERS, -1].topk(self.keep, dim=-1).indices    # [8, K]
                same = watched.unsqueeze(-1) == kept[:WATCHED_USERS, -1].unsqueeze(-2)  # [8, K, K]
                averages.add("stability", same.any(-1).float().mean())
            return kept.permute(2, 0, 1).contiguous()                           # [K, B, Q]
