"""The shortlist of a table, the tokens kept of it, and how both are chosen."""

from __future__ import annotations

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
            raise ConfigError(f"keep is {keep}, but token table '{table.name}' has {tokens} tokens.")
        self.table, self.keep = table, keep
        size = min(size, tokens)
        ids = np.arange(size, dtype=np.int64) * tokens // size                  # [M]
        self.register_buffer("ids", torch.from_numpy(ids))
        self.register_buffer("vectors", scaled_vectors(table, ids))             # [M, W]

    def choose(self, queries: Tensor, project: Callable[[Tensor], Tensor]) -> float:
        """Take the tokens that cover the queries, and return the share of the old ones that stays.

        The rule: a token comes first the more queries have it among their best `keep` of the whole vocabulary; then
        the higher its best score with any query; then the lower its id.

        Args:
            queries: `[Q, D]`, unit norm.
            project: maps vectors `[v, W]` to tokens `[v, D]`, whose dot products with queries are scores.
        """
        if len(self.ids) == self.table.shape[0]:
            return 1.0
        counts, best = token_coverage(queries, self.table, project, self.keep)
        order = np.lexsort((-best, -counts))[: len(self.ids)]                   # stable: lower ids first
        ids = np.sort(order).astype(np.int64)                                   # [M]
        stay = float(np.isin(ids, self.ids.cpu().numpy()).mean())
        self.take(ids)
        return stay

    def take(self, ids: npt.NDArray[np.int64]) -> None:
        """Take the tokens `ids` `[M]` instead of those that are there."""
        self.ids.copy_(torch.from_numpy(ids))
        self.vectors.copy_(scaled_vectors(self.table, ids))


class Choice(NamedTuple):
    """What is kept of one shortlist.

    Attributes:
        kept: the kept tokens, `[Q, K]`.
        log_weight: the logs of their weights `[Q, K]`; the weights sum to 1 over K.
    """

    kept: GatherIndex
    log_weight: Tensor

    def of(self, queries: Tensor) -> Self:  # [P]
        """Return what is kept for some of the queries, `[P, K]`."""
        kept = GatherIndex(self.kept.rows.index_select(0, queries), self.kept.size)
        return type(self)(kept, self.log_weight.index_select(0, queries))

    @classmethod
    def join(cls, choices: Sequence[Self]) -> Self:
        """Return N choices `[P, K]` as one of the shortlists laid one after the other, `[P, N * K]`."""
        log_weight = torch.cat([choice.log_weight for choice in choices], dim=1)
        return cls(GatherIndex.join([choice.kept for choice in choices]), log_weight)


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

    def refresh(self, queries: Tensor) -> float:
        """Choose the shortlist again for queries `[Q, D]`, and return the share of the old one that stays."""
        return 1.0

    def set_noise(self, level: float) -> None:
        """Set how much noise there is from now on."""
        self.noise = level
        self.noise_level.fill_(level)


def keep_best(
    query: Tensor, tokens: Tensor, keep: int, noise: Tensor | None, users: Tensor
) -> tuple[GatherIndex, Tensor]:
    """Return the `keep` tokens with the highest score plus noise, and their scores without it, `[Q, keep]` each.

    A score is the dot product of query and token, exact, in full precision under autocast too. The choice has no
    gradient; the scores of the kept have one.

    Args:
        query: queries `[Q, D]`.
        tokens: tokens `[M, D]`.
        keep: number of tokens.
        noise: what is added to the scores, `[B, M]`.
        users: whose noise a query gets, `[Q]`.
    """
    chosen, found = _best_tokens(query.detach(), tokens.detach(), keep, noise, users)
    kept = GatherIndex(chosen, len(tokens))
    if noise is None and not torch.is_grad_enabled():
        return kept, found.to(query.dtype)
    with torch.autocast(query.device.type, enabled=False):
        full = torch.promote_types(query.dtype, torch.float32)
        return kept, gather_dot(query.to(full), tokens.to(full), kept).squeeze(1)


@torch.no_grad()
def _best_tokens(
    query: Tensor, tokens: Tensor, keep: int, noise: Tensor | None, users: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the best tokens, int64 `[Q, keep]`, in no order, and their scores plus noise."""
    if len(query) > QUERIES_AT_ONCE and use_kernels(query.device):  # so few that their scores stay in a CPU's cache
        parts = zip(torch.split(query, QUERIES_AT_ONCE), torch.split(users, QUERIES_AT_ONCE), strict=True)
        ids, scores = zip(*(_best_tokens(part, tokens, keep, noise, owners) for part, owners in parts), strict=True)
        return torch.cat(ids), torch.cat(scores)
    with torch.autocast(query.device.type, enabled=False), large_products(len(query)):
        query, columns = query.float(), tokens.float().T                        # [Q, D], [D, M]
        score = query @ columns if noise is None else torch.addmm(noise[users], query, columns)     # [Q, M]
    best = top_k(score, keep)                                                   # [Q, K]
    return best, score.gather(1, best)


def token_coverage(
    queries: Tensor, table: PreparedTable, project: Callable[[Tensor], Tensor], keep: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return how many queries have each token among their best `keep`, and its best score: `[V]`, `[V]`.

    Memory is bounded by the chunk sizes, whatever the number of tokens and queries.
    """
    size = table.shape[0]
    best = torch.full((size,), -torch.inf)                                      # [V]
    groups = torch.split(queries, QUERIES_AT_ONCE)
    scores = [group.new_full((len(group), keep), -torch.inf) for group in groups]         # [q, K] each
    tokens = [torch.zeros(len(group), keep, dtype=torch.long, device=group.device) for group in groups]
    for start in range(0, size, TOKENS_AT_ONCE):
        vectors = scaled_vectors(table, slice(start, start + TOKENS_AT_ONCE))   # [v, W]
        projected = project(vectors.to(queries.device))                         # [v, D]
        stop = start + len(vectors)
        for index, group in enumerate(groups):
            with large_products(len(group)):
                score = group @ projected.T                                     # [q, v]
            best[start:stop] = torch.maximum(best[start:stop], score.amax(0).cpu())
            ids = top_k(score, min(keep, len(vectors)))                        # [q, K]
            candidates = torch.cat([scores[index], score.gather(1, ids)], dim=1)   # [q, 2K]
            names = torch.cat([tokens[index], ids + start], dim=1)              # [q, 2K]
            scores[index], order = candidates.topk(keep, dim=1)
            tokens[index] = names.gather(1, order)
    counts = torch.bincount(torch.cat(tokens).flatten().cpu(), minlength=size)  # [V]
    return counts.numpy(), best.numpy()


def scaled_vectors(table: PreparedTable, ids: npt.NDArray[np.int64] | slice) -> Tensor:
    """Return vectors of a table in float32, times the root of the width: components of about unit variance."""
    vectors = np.asarray(table.vectors[ids], dtype=np.float32)
    return torch.from_numpy(vectors * np.float32(table.shape[1] ** 0.5))
