"""What happens to the method between steps, epochs and rounds: the noise, the shortlists, the merge of the experts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mltfr.fusion.base import TwoRoundFusion
from mltfr.fusion.fisher import merge_by_fisher
from mltfr.fusion.mltfr.diagnostics import Statistics
from mltfr.fusion.mltfr.queries import Queries, sample_queries
from mltfr.fusion.mltfr.shortlist import Choice, TokenSelector
from mltfr.fusion.packing import unpack
from mltfr.fusion.tables import ByTable, module_key
from mltfr.prefixes import under_prefix

if TYPE_CHECKING:
    from mltfr.fusion.mltfr.config import MltfrConfig


class MltfrRounds(TwoRoundFusion):
    """What training asks of the method besides `delta`; `MltfrFusion` holds the parts and the formula."""

    corrects_items = True
    reads_item_vectors = True
    supports_cuda_graph = True
    config: MltfrConfig
    queries: Queries
    project: nn.Module
    filters: ByTable[TokenSelector]
    experts: ByTable[Any]
    group: Sequence[str]
    widths: Mapping[str, int]
    statistics: Statistics

    @classmethod
    def rounds_of(cls, config: MltfrConfig) -> int:
        """Return 1 where the consensus expert is left out."""
        return 2 if config.consensus_weight > 0 else 1

    @abstractmethod
    def choose(self, query: Tensor, tables: Sequence[Any], positions: Tensor, count: int) -> list[Choice]:
        """Return what is kept of every table at the positions."""

    def query(self, x: Tensor, mask: Tensor, last: int, vectors: Tensor | None = None) -> Tensor:
        """Return the unit queries of the last positions, `[B, last, D]`, or one a sequence, `[B, 1, D]`.

        Args:
            x: the stack's input `[B, L, D]`.
            mask: bool `[B, L]`, the observed positions.
            last: number of positions, from the end.
            vectors: the item vectors `[B, L, D]`; `x` takes their place if none are given or it is to ask.
        """
        asking = vectors if vectors is not None and self.config.filter.query_from == "items" else x
        with torch.autocast(x.device.type, enabled=False):  # as inference asks
            return normalize(self.project(self.queries.mean(asking, mask, last)), dim=-1)

    @torch.no_grad()
    def refresh(self, histories: Iterable[Sequence[Tensor]], unseen: Iterable[Sequence[Tensor]] = ()) -> None:
        """Choose the shortlists again, from one query of each history, and note what unseen histories find on them."""
        pairs = ((self.query(x, mask, x.shape[1], *more).expand_as(x), mask) for x, mask, *more in histories)
        asked = sample_queries(pairs)                                           # [Q, D]
        last = [self.query(x, mask, 1, *more)[mask.any(1)].squeeze(1) for x, mask, *more in unseen]     # [u, D] each
        others = torch.cat(last) if last else asked[:0]                         # [U, D]
        for name in self.widths if len(asked) else ():
            found = self.filters.of(name).refresh(asked, others)
            if found is not None:
                self.statistics.add(name, "shortlist_kept", found.stayed)
            if found is not None and found.coverage is not None:
                self.statistics.add(name, "coverage", found.coverage)

    def set_progress(self, steps: int) -> None:
        """Anneal the noise of the token filters linearly to zero over the first steps of a round."""
        level = self.config.filter.noise * max(0.0, 1 - steps / self.config.filter.noise_steps)
        for each in self.filters.each():
            each.set_noise(level)

    def graph_key(self) -> bool:
        """Return whether there is noise."""
        return any(each.noise for each in self.filters.each())

    def fisher_parameters(self) -> dict[str, nn.Parameter]:
        """Return the parameters of the experts' cores; adapters are not merged."""
        named = self.experts.named_parameters()
        return {f"experts.{name}": parameter for name, parameter in named if ".core." in name}

    def merge_experts(self, fisher: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the consensus expert's tensors: the group's cores merged, and its adapters as they are."""
        experts = self.experts.state_dict()
        fisher = under_prefix("experts", fisher)
        keys = [module_key(name) for name in self.group]
        cores = [under_prefix(f"{key}.core", experts) for key in keys]
        merged = merge_by_fisher(cores, [under_prefix(f"{key}.core", fisher) for key in keys])
        tensors = {f"core.{name}": tensor for name, tensor in merged.items()}
        for key in keys:
            adapter = under_prefix(f"{key}.adapter", experts)
            tensors |= {f"adapters.{key}.{name}": tensor.detach().clone() for name, tensor in adapter.items()}
        return tensors

    def diagnostics(self) -> dict[str, float | Mapping[str, float]]:
        """Return router shares, entropy and dead experts, and every filter's entropy, stability, coverage and scale."""
        return self.statistics.read()

    @torch.no_grad()
    def kept_tokens(
        self, x: Tensor, mask: Tensor, vectors: Tensor | None = None
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Return which tokens every position keeps of each table, and how much each of them counts.

        Args:
            x: the stack's input `[B, L, D]`.
            mask: bool `[B, L]`, the observed positions.
            vectors: the item vectors `[B, L, D]`.

        Returns:
            By table, token ids `[B, L, K]` and their weights `[B, L, K]`. They sum to 1 over K, or with a null key
            to less: the rest is its own. Both are zero where nothing is observed.
        """
        query = self.query(x, mask, x.shape[1], vectors)                        # [B, L, D], or [B, 1, D]
        positions = mask.flatten().nonzero().squeeze(1)                         # [P]
        found = {}
        for name, choice in zip(self.widths, self.choose(query, self.prepare()[0], positions, x.shape[1]), strict=True):
            ids = self.filters.of(name).shortlist.ids[choice.kept.rows]         # [P, K]
            weights = choice.log_weight.exp()                                   # [P, K]
            found[name] = unpack(ids, positions, mask.shape), unpack(weights, positions, mask.shape)
        return found
