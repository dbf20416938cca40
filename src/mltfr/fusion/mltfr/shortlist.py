"""The shortlist of a table, the tokens kept of it, and how both are chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mltfr.errors import ConfigError
from mltfr.kernels import use_kernels
from mltfr.kernels.gathered import GatherIndex, gather_dot
from mltfr.kernels.products import large_products
from mltfr.kernels.top_k import top_k
from mltfr.tokens.table import PreparedTable

TOKENS_AT_ONCE = 2048
QUERIES_AT_ONCE = 1024


class Shortlist(nn.Module):
    """`M` tokens of one table. They are buffers: saved with the run, frozen, and moved with the model.

    A fresh shortlist takes evenly spaced tokens; `choose` picks those that the training users ask for.

    Args:
        table: the prepared table, `[V, W]`; its vectors have unit norm.
        size: tokens asked for; M is this, or V if the table has fewer.
        keep: tokens that are kept of it.

    Raises:
        ConfigError: the table has fewer tokens than are kept.
    """

    ids: Tensor
    vectors: Tensor

    def __init__(self, table: PreparedTable, size: int, keep: int) -> None:
        super().__init__()
        tokens = table.shape[0]
        if keep > tokens:
            raise ConfigError(
                f"keep is {keep}, but token table '{table.name}' has {tokens} tokens. Lower fusion.filter.keep, or "
                "leave the table out of tokens.tables."
            )
        self.table, self.keep = table, keep
        size = min(size, tokens)
        ids = np.arange(size, dtype=np.int64) * tokens // size                  # [M]
        self.register_buffer("ids", torch.from_numpy(ids))
        self.register_buffer("vectors", scaled_vectors(table, ids))             # [M, W]

    def choose(
        self, queries: Tensor, project: Callable[[Tensor], Tensor], unseen: Tensor, hysteresis: float = 0.0
    ) -> Refreshed:
        """Take the tokens that cover the queries.

        The rule: a token comes first the more queries have it among their best `keep` of the whole vocabulary, those of
        the present shortlist counting `1 + hysteresis` times; then the higher its best score with any query; then the
        lower its id.

        Args:
            queries: `[Q, D]`, unit norm.
            project: maps vectors `[v, W]` to tokens `[v, D]`, whose dot products with queries are scores.
            unseen: further queries `[U, D]`, which choose nothing; what they find is told.
            hysteresis: by what share more often a token must be asked for than one that it replaces.
        """
        if len(self.ids) == self.table.shape[0]:
            return Refreshed(1.0, 1.0 if len(unseen) else None)
        size = self.table.shape[0]
        asked, best = best_of_vocabulary(torch.cat([queries, unseen]), len(queries), self.table, project, self.keep)
        counts = np.bincount(asked[: len(queries)].ravel(), minlength=size).astype(np.float64)    # [V]
        old = self.ids.cpu().numpy().copy()                                     # [M]
        counts[old] *= 1 + hysteresis
        ids = np.sort(np.lexsort((-best, -counts))[: len(old)]).astype(np.int64)   # [M]; stable: lower ids first
        self.take(ids)
        found = np.isin(asked[len(queries) :], ids)                            # [U, K]
        return Refreshed(float(np.isin(ids, old).mean()), float(found.mean()) if len(unseen) else None)

    def take(self, ids: npt.NDArray[np.int64]) -> None:
        """Take the tokens `ids` `[M]` instead of those that are there."""
        self.ids.copy_(torch.from_numpy(ids))
        self.vectors.copy_(scaled_vectors(self.table, ids))


class Refreshed(NamedTuple):
    """What a refresh of a shortlist came to.

    Attributes:
        stayed: share of the shortlist that was there before.
        coverage: share of what unseen queries would keep of the whole vocabulary that is on it; None where none ask.
    """

    stayed: float
    coverage: float | None


class Choice(NamedTuple):
    """What is kept of one shortlist.

    Attributes:
        kept: the kept tokens, `[Q, K]`.
        log_weight: the logs of their weights `[Q, K]`.
        log_null: the log of the null key's weight `[Q]`, with which the weights sum to 1; None where there is none, and
            the weights of the tokens alone do.
    """

    kept: GatherIndex
    log_weight: Tensor
    log_null: Tensor | None = None

    def of(self, queries: Tensor) -> Self:  # [P]
        """Return what is kept for some of the queries, `[P, K]`."""
        kept = GatherIndex(self.kept.rows.index_select(0, queries), self.kept.size)
        log_null = None if self.log_null is None else self.log_null.index_select(0, queries)
        return type(self)(kept, self.log_weight.index_select(0, queries), log_null)

    @classmethod
    def join(cls, choices: Sequence[Self]) -> Self:
        """Return N choices `[P, K]` as one of the shortlists laid one after the other, `[P, N * K]`.

        Its weights sum to N, and the weight of its null key is the sum of theirs.
        """
        log_weight = torch.cat([choice.log_weight for choice in choices], dim=1)
        nulls = [choice.log_null for choice in choices if choice.log_null is not None]      # [P] each
        log_null = torch.stack(nulls).logsumexp(0) if nulls else None
        return cls(GatherIndex.join([choice.kept for choice in choices]), log_weight, log_null)


class TokenSelector(nn.Module):
    """What keeps tokens of one table; a module `(query, tokens, users, batch) -> Choice`.

    Its queries `[Q, D]` are those of a batch of B users, `users` `[Q]` says whose, and `tokens` `[M, D]` are what
    `tokens()` returned of the shortlist.

    Args:
        shortlist: the tokens that can be kept.
        noise: factor of the Gumbel noise on the scores in training.
    """

    noise_level: Tensor

    def __init__(self, shortlist: Shortlist, noise: float = 0.0) -> None:
        super().__init__()
        self.shortlist = shortlist
        self.register_buffer("noise_level", torch.tensor(noise), persistent=False)  # a CUDA graph reads it
        self.noise = noise

    def tokens(self, vectors: Tensor) -> Tensor:  # [M, W] -> [M, D]
        """Return the shortlist as queries meet it."""
        return vectors

    def refresh(self, queries: Tensor, unseen: Tensor) -> Refreshed | None:
        """Choose the shortlist again for queries `[Q, D]`, and tell what unseen ones `[U, D]` find."""
        return None

    def set_noise(self, level: float) -> None:
        """Set how much noise there is from now on."""
        self.noise = level
        self.noise_level.fill_(level)


def keep_best(
    query: Tensor, tokens: Tensor, keep: int, noise: Tensor | None, users: Tensor, with_rest: bool = False
) -> tuple[GatherIndex, Tensor, Tensor | None]:
    """Return the `keep` tokens with the highest score plus noise, their scores without it, and what the rest scores.

    A score is the dot product of query and token, exact, in full precision under autocast too. The choice has no
    gradient; the scores of the kept, `[Q, keep]`, have one. What the rest scores, `[Q]`, is the logarithm of the summed
    exponentials of all other scores without noise, and has none.

    Args:
        query: queries `[Q, D]`.
        tokens: tokens `[M, D]`.
        keep: number of tokens.
        noise: what is added to the scores, `[B, M]`.
        users: whose noise a query gets, `[Q]`.
        with_rest: whether what the rest scores is told; None if not.
    """
    chosen, found, rest = _best_tokens(query.detach(), tokens.detach(), keep, noise, users, with_rest)
    kept = GatherIndex(chosen, len(tokens))
    kind = query.dtype
    if torch.is_grad_enabled():
        with torch.autocast(query.device.type, enabled=False):
            kind = torch.promote_types(kind, torch.float32)
            found = gather_dot(query.to(kind), tokens.to(kind), kept).squeeze(1)
    return kept, found.to(kind), None if rest is None else rest.to(kind)


@torch.no_grad()
def _best_tokens(
    query: Tensor, tokens: Tensor, keep: int, noise: Tensor | None, users: Tensor, with_rest: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the best tokens, int64 `[Q, keep]`, in no order, their scores, and what the rest scores or None."""
    if use_kernels(query.device) and len(query) > QUERIES_AT_ONCE:  # so few that their scores stay in a CPU's cache
        parts = zip(torch.split(query, QUERIES_AT_ONCE), torch.split(users, QUERIES_AT_ONCE), strict=True)
        found = (_best_tokens(part, tokens, keep, noise, owners, with_rest) for part, owners in parts)
        ids, scores, rests = zip(*found, strict=True)
        told = [each for each in rests if each is not None]
        return torch.cat(ids), torch.cat(scores), torch.cat(told) if told else None
    with torch.autocast(query.device.type, enabled=False), large_products(query.shape[0]):
        score = query.float() @ tokens.float().T                                # [Q, M]
    best = top_k(score if noise is None else noise[users].add_(score), keep)        # [Q, K]
    kept = score.gather(1, best)                                                # [Q, K]
    return best, kept, _log_sum_exp(score.scatter(1, best, -torch.inf)) if with_rest else None


def _log_sum_exp(score: Tensor) -> Tensor:  # [Q, M] -> [Q]
    """Return `score.logsumexp(1)`, and write over `score`; powers of two are three times as fast on a CPU."""
    largest = score.amax(1, keepdim=True).clamp(min=torch.finfo(score.dtype).min)
    return score.sub_(largest).mul_(1 / math.log(2)).exp2_().sum(1).log() + largest.squeeze(1)


def best_of_vocabulary(
    queries: Tensor, count: int, table: PreparedTable, project: Callable[[Tensor], Tensor], keep: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return every query's best `keep` tokens of the whole vocabulary, and every token's best score.

    Memory is bounded by the chunk sizes, whatever the number of tokens and queries.

    Args:
        queries: `[Q, D]`, unit norm.
        count: number of queries, the first ones, whose scores a token's best is of.
        table: the prepared table, `[V, W]`.
        project: maps vectors `[v, W]` to tokens `[v, D]`.
        keep: number of tokens K.

    Returns:
        Token ids `[Q, K]` and scores `[V]`.
    """
    size = table.shape[0]
    best = torch.full((size,), -torch.inf)                                      # [V]
    groups = [*torch.split(queries[:count], QUERIES_AT_ONCE), *torch.split(queries[count:], QUERIES_AT_ONCE)]
    choosing = -(-count // QUERIES_AT_ONCE)
    scores = [group.new_full((len(group), keep), -torch.inf) for group in groups]         # [q, K] each
    tokens = [torch.zeros(len(group), keep, dtype=torch.long, device=group.device) for group in groups]
    for start in range(0, size, TOKENS_AT_ONCE):
        vectors = scaled_vectors(table, slice(start, start + TOKENS_AT_ONCE))   # [v, W]
        projected = project(vectors.to(queries.device))                         # [v, D]
        stop = start + len(vectors)
        for index, group in enumerate(groups):
            with large_products(len(group)):
                score = group @ projected.T                                     # [q, v]
            if index < choosing:
                best[start:stop] = torch.maximum(best[start:stop], score.amax(0).cpu())
            ids = top_k(score, min(keep, len(vectors)))                        # [q, K]
            candidates = torch.cat([scores[index], score.gather(1, ids)], dim=1)   # [q, 2K]
            names = torch.cat([tokens[index], ids + start], dim=1)              # [q, 2K]
            scores[index], order = candidates.topk(keep, dim=1)
            tokens[index] = names.gather(1, order)
    return torch.cat(tokens).cpu().numpy(), best.numpy()


def scaled_vectors(table: PreparedTable, ids: npt.NDArray[np.int64] | slice) -> Tensor:
    """Return vectors of a table in float32, times the root of the width: components of about unit variance."""
    vectors = np.asarray(table.vectors[ids], dtype=np.float32)
    return torch.from_numpy(vectors * np.float32(table.shape[1] ** 0.5))
