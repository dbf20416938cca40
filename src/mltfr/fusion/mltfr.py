"""Preset `default` of the MLTFR fusion (arXiv 2604.18200): filter, experts, router, consensus expert."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mltfr.errors import ConfigError
from mltfr.fusion.averages import Averages
from mltfr.fusion.base import Fusion, FusionConfig, FusionInputs, register_fusion
from mltfr.fusion.by_table import ByTable, by_name, consensus_group
from mltfr.fusion.choice import TokenChoice
from mltfr.fusion.consensus import ConsensusExpert, ConsensusRows, merge_experts
from mltfr.fusion.expert import Expert, Experts, heads_do_not_divide
from mltfr.fusion.filter import TokenFilter, TokenFilterConfig
from mltfr.fusion.fixed import AllFixedTokens, FixedTokens
from mltfr.fusion.freeze import freeze
from mltfr.fusion.initial import own_seed, seeded
from mltfr.fusion.known import Known, expert_rows, routed
from mltfr.fusion.positions import Positions
from mltfr.fusion.query import history_mean, prefix_decay, prefix_mean
from mltfr.fusion.remembered import Remembered
from mltfr.fusion.router import DEAD_BELOW, ROUTERS, entropy, shares
from mltfr.fusion.selection import FilterRows, Selection, TokenFilters, filter_rows
from mltfr.fusion.spread import spread_queries

FEW = 16
"""Positions up to which, outside training, the plain forms are the faster ones: a request's few rows fit the cache."""

CHOICES: dict[str, tuple[type[TokenChoice], type[ByTable[TokenChoice]]]] = {
    "position": (TokenFilter, TokenFilters),
    "user": (TokenFilter, TokenFilters),
    "nobody": (FixedTokens, AllFixedTokens),
}


class MltfrConfig(FusionConfig):
    """Settings of token filtering and routing."""

    name: Literal["mltfr"] = "mltfr"
    filter: TokenFilterConfig = TokenFilterConfig()
    """Which tokens of each table a position keeps."""
    heads: int = Field(4, ge=1)
    """Heads of an expert (H), a divisor of the hidden width."""
    router: Literal["learned", "mean"] = "learned"
    """How much each expert counts at a position: `learned` from its state, or `mean`, all the same everywhere."""
    common_start: bool = True
    """Whether all experts start with the same values, or each with its own, which averaging partly cancels."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout on an expert's attention and on its output."""
    consensus_group: tuple[str, ...] = ()
    """Tables whose experts make the consensus expert; all of them if none is named."""
    consensus_weight: float = Field(0.1, ge=0)
    """Weight of the consensus expert in round 2 (lambda); 0 leaves round 2 out."""


@register_fusion("mltfr", MltfrConfig)
class MltfrFusion(Fusion):
    """Multi-LLM token filtering and routing, with a Fisher-weighted consensus expert in round 2.

    Args:
        config: settings.
        inputs: D, whether positions look back only, the prepared tables and the seed. The tables are kept
            sorted by name: their order in a config changes nothing.

    Raises:
        ConfigError: settings that do not fit the tables, the hidden width or the backbone.
    """

    recordable = True

    def __init__(self, config: MltfrConfig, inputs: FusionInputs) -> None:
        super().__init__()
        if inputs.hidden % config.heads:
            raise heads_do_not_divide(config.heads, inputs.hidden)
        if config.filter.query == "exponential" and not inputs.is_causal:
            raise ConfigError(
                "query = 'exponential' looks back from a position, but the backbone is bidirectional. "
                "Set query to 'mean'."
            )
        tables = by_name(inputs.tables)
        self.config = config
        self.is_causal = inputs.is_causal
        self.asks_once = config.filter.chosen_by == "user" or not inputs.is_causal
        self.needs_prefixes = inputs.is_causal and self.asks_once
        self.hidden = inputs.hidden
        self.rounds = 2 if config.consensus_weight > 0 else 1
        self.widths = {table.name: table.shape[1] for table in tables}
        self.group = consensus_group(config.consensus_group, tables)
        choice, choices = CHOICES[config.filter.chosen_by]
        filters, experts = {}, {}
        for table in tables:
            with seeded(inputs.seed):  # for each again: a common start, and no table depends on another
                experts[table.name] = Expert(table.shape[1], inputs.hidden, config.heads, config.dropout)
                filters[table.name] = choice(table, inputs.hidden, config.filter)
            if not config.common_start:
                with seeded(own_seed(inputs.seed, table.name)):
                    experts[table.name] = Expert(table.shape[1], inputs.hidden, config.heads, config.dropout)
        self.filters = choices(filters)
        self.experts = Experts(experts)
        with seeded(inputs.seed):
            self.router = ROUTERS[config.router](inputs.hidden, len(tables))
        self.consensus: nn.Module | None = None
        self._group_numbers = [number for number, name in enumerate(self.widths) if name in self.group]
        self._remembered: Remembered[Known] = Remembered()
        self._frozen: tuple[nn.Module, ...] = ()  # in a tuple, so that its parts are not in the state twice
        self._frozen_rows: Remembered[ConsensusRows] = Remembered()
        self.averages = {name: Averages() for name in ("", *self.widths)}

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return `delta`."""
        return self._correct(self.query(x, mask), x, mask)

    def newest(self, x: Tensor, mask: Tensor, count: int, *codes: Tensor) -> Tensor:  # -> [B, count, D]
        """Return `delta` at the newest positions, which ask with their prefixes as they always do."""
        return self._correct(self.query(x, mask, count), x[:, -count:], mask[:, -count:])

    def _correct(self, query: Tensor, x: Tensor, mask: Tensor) -> Tensor:  # [B, Q, D], [B, T, D], [B, T]
        """Return `delta` `[B, T, D]`."""
        positions = self._positions(x, mask)
        x = positions.take(x)                                                   # [P, D]
        weights = self.router(x)                                                # [P, N]
        known = self._known(x)
        selection = self._select(query, positions, known.filters if known else None)
        if known:
            delta = routed(self.experts, x, selection, weights, known.experts)  # [P, D]
        else:
            delta = (weights.T.unsqueeze(-1) * self.experts(x, selection)).sum(0)   # [P, D]
        if self.consensus is not None:
            group = selection.of(self._group_numbers)
            rows = known.consensus if known else self._consensus_rows(positions)
            correction = self.consensus(x, group, rows)                         # [P, D]
            delta = delta + self.config.consensus_weight * correction
        if self.training and self.averages[""].wants("all"):
            self._watch(weights.detach(), positions.take(mask), selection.log_weight.detach())
        return positions.put(delta.to(x.dtype))

    def query(self, x: Tensor, mask: Tensor, newest: int | None = None) -> Tensor:  # [B, L, D], [B, L] -> [B, Q, D]
        """Return unit queries: one for each of the newest positions (all if not given), or one a user (Q = 1)."""
        newest = newest or x.shape[1]
        if self.asks_once:
            query = history_mean(x, mask)
        elif self.config.filter.query == "exponential":
            query = prefix_decay(x, mask, self.config.filter.query_decay, newest)
        else:
            query = prefix_mean(x, mask, newest)
        return functional.normalize(query, dim=-1)

    @torch.no_grad()
    def kept_tokens(self, x: Tensor, mask: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return which tokens every position keeps of each table, and how much each of them counts.

        Args:
            x: the stack's input `[B, L, D]`.
            mask: bool `[B, L]`, the observed positions.

        Returns:
            By table, token ids `[B, L, K]` and their weights `[B, L, K]`, which sum to 1 over K. Both are
            zero where nothing is observed.
        """
        positions = self._positions(x, mask)
        selection = self._select(self.query(x, mask), positions)
        observed, found = mask.unsqueeze(-1), {}
        for number, name in enumerate(self.widths):
            ids = self.filters.of(name).shortlist.ids[selection.rows[:, number]]    # [P, K]
            weights = selection.log_weight[:, number].exp()                     # [P, K]
            found[name] = positions.put(ids) * observed, positions.put(weights) * observed
        return found

    @torch.no_grad()
    def refresh(self, queries: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Choose the shortlists again, from one query each of the first `refresh_queries` users."""
        pairs = ((self.query(x, mask).expand_as(x), mask) for x, mask in queries)
        asked = spread_queries(pairs, self.config.filter.refresh_queries)       # [Q, D]
        if not len(asked):
            return
        for name in self.widths:
            self.averages[name].add("shortlist_kept", torch.tensor(self.filters.of(name).refresh(asked)))

    def set_progress(self, epochs: float) -> None:
        """Anneal the noise of the token filters."""
        for token_filter in self.filters.each():
            token_filter.set_progress(epochs)

    def stage(self) -> bool:
        """Return whether there is noise."""
        return any(token_filter.noise for token_filter in self.filters.each())

    def fisher_parameters(self) -> dict[str, nn.Parameter]:
        """Return the parameters of the experts' cores; adapters are not merged."""
        return {
            f"experts.{name}": parameter
            for name, parameter in self.experts.named_parameters()
            if ".core." in name
        }

    def merge(self, fisher: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the consensus expert's tensors: the group's cores merged, and its adapters."""
        fisher = {name.removeprefix("experts."): tensor for name, tensor in fisher.items()}
        return merge_experts(self.group, self.experts.state_dict(), fisher)

    def install_consensus(self, tensors: Mapping[str, Tensor]) -> None:
        """Add the frozen consensus expert."""
        with torch.device("meta"):  # no random numbers are drawn
            expert = ConsensusExpert(
                {name: self.widths[name] for name in self.group}, self.hidden, self.config.heads
            )
        expert.load_state_dict(dict(tensors), assign=True)
        device = next(self.experts.parameters()).device
        self.consensus = freeze(expert).to(device).train(self.training)
        self._frozen = (nn.ModuleList([expert, *(self.filters.of(name).shortlist for name in self.group)]),)
        self._frozen_rows.forget()
        self._remembered.forget()

    def train(self, mode: bool = True) -> Self:
        """Switch between training and scoring."""
        if mode:
            self._remembered.forget()
        return super().train(mode)

    def diagnostics(self) -> dict[str, float | Mapping[str, float]]:
        """Return router shares, entropy and dead experts, and every filter's entropy, stability and scale."""
        result: dict[str, float | Mapping[str, float]] = {}
        router = self.averages[""].read()
        if router:
            share = dict(zip(self.widths, router["share"], strict=True))
            result = {
                "router_share": share,
                "router_entropy": router["entropy"][0],
                "dead_experts": float(sum(value < DEAD_BELOW for value in share.values())),
            }
        found = {
            name: {quantity: values[0] for quantity, values in self.averages[name].read().items()}
            | self.filters.of(name).diagnostics()
            for name in self.widths
        }
        for quantity in ("entropy", "stability", "shortlist_kept", "scale"):
            values = {name: read[quantity] for name, read in found.items() if quantity in read}
            if values:
                result[f"filter_{quantity}"] = values
        return result

    def _positions(self, x: Tensor, mask: Tensor) -> Positions:  # [B, L, D], [B, L]
        """Return where `delta` is computed: on a CPU not at padding, where nobody wants it."""
        by_hand = x.device.type == "cpu" and (
            self.training or (not torch.is_grad_enabled() and mask.numel() > FEW)
        )
        if not by_hand:
            return Positions(mask.shape, x.device, by_hand)
        wanted = mask if self.is_causal else mask | (x != 0).any(-1)            # mask tokens are not padding
        return Positions(mask.shape, x.device, by_hand, wanted)

    def _known(self, x: Tensor) -> Known | None:
        """Return what scoring need not compute again while the weights stay the same; None in training."""
        if self.training or torch.is_grad_enabled():
            self._remembered.forget()  # a fused optimiser changes weights without a new version
            return None
        if not torch.is_inference_mode_enabled() or torch.is_autocast_enabled(x.device.type):
            return None
        return self._remembered.get(self, self._compute_known)

    def _compute_known(self) -> Known:
        vectors = [each.shortlist.vectors for each in self.filters.each()]      # [M, W] each
        consensus = self._compute_consensus_rows() if self.consensus is not None else None
        filters = filter_rows(self.filters) if isinstance(self.filters, TokenFilters) else None
        return Known(filters, expert_rows(self.experts, vectors), consensus)

    def _consensus_rows(self, positions: Positions) -> ConsensusRows | None:
        """Return what the frozen expert makes of the shortlists, which stays the same in training until a refresh."""
        autocast = torch.is_autocast_enabled(positions.numbers.device.type)
        if not positions.by_hand or torch.is_inference_mode_enabled() or autocast:
            return None
        return self._frozen_rows.get(self._frozen[0], self._compute_consensus_rows)

    def _compute_consensus_rows(self) -> ConsensusRows:
        vectors = [self.filters.of(name).shortlist.vectors for name in self.group]      # [M, W] each
        return cast(ConsensusExpert, self.consensus).rows(vectors)

    def _select(self, query: Tensor, positions: Positions, rows: FilterRows | None = None) -> Selection:
        """Return what is kept at the positions by the queries `[B, Q, D]`."""
        averages = {name: self.averages[name] for name in self.widths}
        if not self.asks_once:
            return self.filters(positions.take(query), positions, averages, rows)
        users = Positions((len(query), 1), query.device, positions.by_hand)     # all positions of a user ask the same
        return cast(Selection, self.filters(query.flatten(0, 1), users, averages, rows)).at(positions.users)

    def _watch(self, weights: Tensor, mask: Tensor, log_weight: Tensor) -> None:  # [P, N], [P], [P, N, K]
        self.averages[""].add("share", shares(weights, mask))
        self.averages[""].add("entropy", entropy(weights, mask))
        observed = mask.to(log_weight.dtype)                                    # [P]
        spread = -(log_weight.exp() * log_weight).sum(-1).T @ observed / observed.sum().clamp(min=1)   # [N]
        for name, value in zip(self.widths, spread, strict=True):
            self.averages[name].add("entropy", value)
