"""What the filters of all tables keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mltfr.fusion.averages import Averages
from mltfr.fusion.by_table import ByTable
from mltfr.fusion.filter import TokenFilter, to_scale
from mltfr.fusion.gumbel import gumbel
from mltfr.fusion.largest import largest
from mltfr.fusion.positions import Positions
from mltfr.fusion.rows import Kept, row_dot
from mltfr.fusion.side_by_side import linears_of_tables, row_numbers
from mltfr.products import ROWS, large_products
from mltfr.softmax import log_softmax

ROWS_AT_ONCE = 1024
WATCHED = 8


@dataclass(frozen=True)
class Selection:
    """The tokens of N tables that P positions keep, and how much each of them counts.

    Attributes:
        vectors: every table's shortlist `[M, W]`; sizes and widths may differ.
        rows: the kept rows of every shortlist, int64 `[P, N, K]`.
        kept: the same as rows of the tables stacked by `stack_rows`.
        log_weight: the logs of their weights `[P, N, K]`; the exponentials sum to 1 over K.
    """

    vectors: Sequence[Tensor]
    rows: Tensor
    kept: Kept
    log_weight: Tensor

    def of(self, tables: Sequence[int]) -> Selection:
        """Return what is kept of some of the tables, by number."""
        if len(tables) == len(self.vectors):
            return self
        vectors = [self.vectors[number] for number in tables]
        rows, log_weight = (
            torch.stack([each.select(1, number) for number in tables], dim=1) for each in (self.rows, self.log_weight)
        )
        return Selection(vectors, rows, kept_rows(rows, vectors, self.kept.by_hand), log_weight)

    def at(self, positions: Tensor) -> Selection:
        """Return what is kept at some of the positions, by number `[P']`."""
        rows, log_weight = self.rows.index_select(0, positions), self.log_weight.index_select(0, positions)
        return Selection(self.vectors, rows, kept_rows(rows, self.vectors, self.kept.by_hand), log_weight)


@dataclass(frozen=True)
class FilterRows:
    """What choosing needs to know of N tables, whoever asks.

    Attributes:
        tokens: unit tokens of the shortlists `[N, M, D]`.
        scale: what cosines are multiplied by `[N]`.
    """

    tokens: Tensor
    scale: Tensor


class TokenFilters(ByTable[TokenFilter]):
    """The filters of all tables, which work side by side."""

    def forward(
        self, query: Tensor, positions: Positions, averages: Mapping[str, Averages], rows: FilterRows | None = None
    ) -> Selection:
        """Return what is kept of every table.

        Args:
            query: unit queries `[P, D]`.
            positions: those that ask.
            averages: take what is worth logging, by table.
            rows: what `filter_rows` returns, if it is known.
        """
        found = rows or filter_rows(self)
        tokens, scale = found.tokens, found.scale
        vectors = [each.shortlist.vectors for each in self.each()]              # [M, W] each
        with torch.no_grad(), torch.autocast(query.device.type, enabled=False):
            chosen, cosine = self._choose(query.float(), tokens.float(), scale.float(), positions, averages)
        kept = kept_rows(chosen, vectors, positions.by_hand)
        known = cosine.to(query.dtype).flatten(1).unsqueeze(1)                  # [P, 1, N * K]
        score = row_dot(query, tokens.flatten(0, 1), kept.joined(), known=known).view_as(cosine)    # [P, N, K]
        return Selection(vectors, chosen, kept, log_softmax(scale.unsqueeze(-1) * score))

    def _choose(
        self, query: Tensor, tokens: Tensor, scale: Tensor, positions: Positions, averages: Mapping[str, Averages]
    ) -> tuple[Tensor, Tensor]:
        """Return the rows of the tokens with the highest scores, and their cosines, `[P, N, K]` each; exact.

        Args:
            query: unit queries `[P, D]`.
            tokens: unit tokens `[N, M, D]`.
            scale: what cosines are multiplied by `[N]`.
            positions: those that ask.
            averages: take what is worth logging, by table.
        """
        keep, shape = self.each()[0].keep, tokens.shape[:2]
        columns = tokens.flatten(0, 1).T                                        # [D, N * M]
        bonus = self._noise(positions.shape[0], scale, shape[1])                # [B or 1, N * M] or None
        at_once = max(ROWS_AT_ONCE // len(tokens) // ROWS, 1) * ROWS if positions.by_hand else max(len(query), 1)
        rows, cosines = [], []
        for some, users in zip(torch.split(query, at_once), torch.split(positions.users, at_once), strict=True):
            with large_products(len(some)):
                if bonus is None:
                    cosine = some @ columns                                     # [p, N * M], so few stay in the cache
                elif len(bonus) == 1:
                    cosine = torch.addmm(bonus, some, columns)
                else:
                    cosine = torch.addmm(bonus.index_select(0, users), some, columns)
            cosine = cosine.view(len(some), *shape)                             # [p, N, M]
            best = largest(cosine, keep, positions.by_hand)                     # [p, N, K]
            found = cosine.gather(-1, best)                                     # [p, N, K]
            if bonus is not None:
                own = users.view(-1, 1, 1) if len(bonus) > 1 else 0
                found = found - bonus[own, row_numbers(best, shape[1])]
            rows.append(best)
            cosines.append(found)
        chosen = torch.cat(rows)
        if self.training and len(query) and next(iter(averages.values())).wants("stability"):
            self._watch(query, tokens, chosen, averages)
        return chosen, torch.cat(cosines)

    def _noise(self, users: int, scale: Tensor, most: int) -> Tensor | None:
        """Return what is added to the cosines: Gumbel noise in training, drawn once per user and token.

        The ends of shorter tables get minus infinity. `[B or 1, N * M]`, or None where nothing is added.
        """
        sizes = [len(each.shortlist.vectors) for each in self.each()]
        bonus = None
        if self.training and any(each.noise for each in self.each()):
            noise = torch.stack([each.noise_level for each in self.each()])         # [N]
            bonus = gumbel(users, len(noise), most, device=scale.device)
            bonus *= (noise / scale).unsqueeze(-1)
        if min(sizes) < most:
            bonus = scale.new_zeros(1, len(sizes), most) if bonus is None else bonus
            for number, size in enumerate(sizes):
                bonus[:, number, size:] = -torch.inf
        return bonus if bonus is None else bonus.flatten(1)

    def _watch(self, query: Tensor, tokens: Tensor, chosen: Tensor, averages: Mapping[str, Averages]) -> None:
        """Note the share of the chosen tokens that would have been chosen without noise too.

        Some positions are asked, evenly spaced among those with a history: where there is none, as at padding,
        the query is zero, and chance alone chooses.
        """
        asks = query.any(-1)                                                    # [P]
        order = asks.to(torch.uint8).argsort(descending=True, stable=True)      # [P], those that ask come first
        seen = order[torch.arange(WATCHED, device=query.device) * asks.sum() // WATCHED]    # [p]
        for number, (name, each) in enumerate(zip(averages, self.each(), strict=True)):
            cosine = query[seen] @ tokens[number, : len(each.shortlist.vectors)].T  # [p, M]
            without = cosine.topk(each.keep, dim=-1).indices                    # [p, K]
            same = without.unsqueeze(-1) == chosen[seen, number].unsqueeze(-2)  # [p, K, K]
            averages[name].add("stability", same.any(-1).float().mean())


def filter_rows(filters: TokenFilters) -> FilterRows:
    """Return what is the same for all queries."""
    vectors = [each.shortlist.vectors for each in filters.each()]               # [M, W] each
    projected = linears_of_tables([each.projection for each in filters.each()], vectors)
    scale = to_scale(torch.stack([each.log_scale for each in filters.each()]))  # [N]
    return FilterRows(functional.normalize(projected, dim=-1), scale)


def kept_rows(rows: Tensor, vectors: Sequence[Tensor], by_hand: bool) -> Kept:  # [P, N, K]
    """Return rows of every table's shortlist as rows of all shortlists stacked by `stack_rows`."""
    most = max(len(table) for table in vectors)
    return Kept(row_numbers(rows, most), len(vectors) * most, by_hand)
