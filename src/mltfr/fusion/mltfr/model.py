"""MLTFR, preset `default` (arXiv 2604.18200): token filter, experts, router, consensus expert.

At position t of a history, for tables n = 1..N with tokens e of norm sqrt(W), P and R the filter's projections, A the
adapter:

    query_t     = unit(R mean of item vectors over the history up to t)  (over all of it where positions see later ones)
    score_tnm   = scale_n cos(query_t, P_n e_nm)                         for every token m of table n's shortlist
    kept_tn     = the K tokens of the highest score + noise
    w_tn        = softmax of their scores and, for the null key, of log sum exp of the scores not kept, a constant
    expert_n(x) = O_n concat_h sum_k softmax_k(q_n(x) . k_n(A_n e_nk) / sqrt(d) + log w_tnk) v_n(A_n e_nk)
                  where the null key's logit is its log w, and its value zero
    delta_t     = sum_n router_n(x_t) expert_n(x_t) + lambda consensus(x_t)

With `site = "items"` a position is an item: x is its vector, which is the query too, and `x + delta` takes its place.

The consensus expert (round 2) is the Fisher-weighted mean of the trained experts' cores, frozen. It reads the kept
tokens of all tables of its group, each through its own table's adapter.

Shapes: B users, L positions, P positions that are corrected, Q queries, D hidden width, W width of a table, M tokens
of its shortlist, K kept tokens, H heads, d = D / H.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mltfr.fusion.attention import check_heads
from mltfr.fusion.base import FusionInputs, register_fusion
from mltfr.fusion.init import Seeded, freeze, own_seed, variance_preserving, zero
from mltfr.fusion.mltfr.ablations import FixedTokens, MeanRouter
from mltfr.fusion.mltfr.config import MltfrConfig, TokenFilterConfig
from mltfr.fusion.mltfr.diagnostics import Statistics
from mltfr.fusion.mltfr.queries import QueryProjection, make_queries
from mltfr.fusion.mltfr.rounds import MltfrRounds
from mltfr.fusion.mltfr.shortlist import Choice, Refreshed, Shortlist, TokenSelector, keep_best
from mltfr.fusion.packing import corrected_positions, pack, unpack
from mltfr.fusion.tables import ByTable, by_name, consensus_group
from mltfr.kernels.dropout import Dropout
from mltfr.kernels.gathered import gather_dot, gather_sum
from mltfr.kernels.softmax import log_softmax, softmax
from mltfr.tokens.table import PreparedTable

START_SCALE, LARGEST_SCALE = 14.0, 100.0


class Projected(NamedTuple):
    """What is the same for all positions: one table's tokens, and its expert's keys and values, `[M, D]` each."""

    tokens: Tensor
    key: Tensor
    value: Tensor


Prepared: TypeAlias = tuple[list[Projected], tuple[Tensor, Tensor] | None]
"""Every table's shortlist, projected, and the consensus expert's keys and values."""


class TokenFilter(TokenSelector):
    """Keeps the K tokens of one table's shortlist that a query asks for: `score = scale * cos(query, P(token))`."""

    def __init__(self, table: PreparedTable, hidden: int, config: TokenFilterConfig) -> None:
        super().__init__(Shortlist(table, config.shortlist, config.keep), config.noise)
        self.keep, self.null_key, self.hysteresis = config.keep, config.null_key, config.hysteresis
        self.projection = variance_preserving(nn.Linear(table.shape[1], hidden))
        self.projection.rate_factor = config.rate_factor  # type: ignore[assignment]
        self.log_scale = nn.Parameter(torch.tensor(math.log(START_SCALE)))

    def scale(self) -> Tensor:
        """Return what cosines are multiplied by, a scalar."""
        return self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()

    def tokens(self, vectors: Tensor) -> Tensor:  # [M, W] -> [M, D]
        """Return tokens whose dot products with unit queries are scores."""
        with torch.autocast(vectors.device.type, enabled=False):  # as inference compares
            return self.scale() * normalize(self.projection(vectors), dim=-1)

    def forward(self, query: Tensor, tokens: Tensor, users: Tensor, batch: int) -> Choice:  # [Q, D], [M, D], [Q]
        """Return the tokens kept by every query; choosing them needs no gradient, weighing them does."""
        noise = self.gumbel(batch, len(tokens)) if self.training and self.noise else None      # [B, M]
        with_null = self.null_key and self.keep < len(tokens)
        kept, score, rest = keep_best(query, tokens, self.keep, noise, users, with_null)   # [Q, K], [Q, K], [Q]
        if rest is None:
            return Choice(kept, log_softmax(score))
        log_weight = log_softmax(torch.cat([score, rest.unsqueeze(1)], dim=1))  # [Q, K + 1]
        return Choice(kept, log_weight[:, :-1], log_weight[:, -1])

    def gumbel(self, batch: int, tokens: int) -> Tensor:  # -> [B, M]
        """Draw noise for the scores, once per user and token: one position's noise tells nothing of a later one."""
        uniform = torch.rand(batch, tokens, device=self.noise_level.device)
        return -(-uniform.log()).log() * self.noise_level

    def refresh(self, queries: Tensor, unseen: Tensor) -> Refreshed:  # [Q, D], [U, D]
        """Choose the shortlist that covers the queries, and tell what unseen ones find on it."""
        return self.shortlist.choose(queries, self.tokens, unseen, self.hysteresis)


class Attention(nn.Module):
    """Multi-head cross-attention of each position on its own kept tokens: the core of an expert, which is merged.

    The key has no bias, which would cancel in the softmax. The output starts at zero: a fresh fusion changes nothing.
    With a null key it has no bias either: nothing is added where no token fits.
    """

    def __init__(self, hidden: int, heads: int, dropout: float, null_key: bool) -> None:
        super().__init__()
        self.query = variance_preserving(nn.Linear(hidden, hidden))
        self.key = variance_preserving(nn.Linear(hidden, hidden, bias=False))
        self.value = variance_preserving(nn.Linear(hidden, hidden))
        self.output = zero(nn.Linear(hidden, hidden, bias=not null_key))
        self.dropout = Dropout(dropout)
        self.heads = heads

    def keys_values(self, adapted: Tensor) -> tuple[Tensor, Tensor]:  # [M, D] -> [M, D], [M, D]
        """Return keys, divided by sqrt(d), and values."""
        return self.key(adapted) * (self.heads / adapted.shape[-1]) ** 0.5, self.value(adapted)

    def forward(self, x: Tensor, key: Tensor, value: Tensor, choice: Choice) -> Tensor:  # [P, D] -> [P, D]
        """Return what every position reads from its kept tokens."""
        logits = gather_dot(self.query(x), key, choice.kept, self.heads)        # [P, H, K]
        logits = logits + choice.log_weight.unsqueeze(1)
        if choice.log_null is not None:
            null = choice.log_null.view(-1, 1, 1).expand(-1, self.heads, 1)     # [P, H, 1]
            weight = softmax(torch.cat([logits, null], dim=-1))[..., :-1]       # [P, H, K], the null key's value is 0
        else:
            weight = softmax(logits)
        return self.dropout(self.output(gather_sum(self.dropout(weight), value, choice.kept)))


class Expert(nn.Module):
    """One table's expert: an adapter, which aligns the table's space, and an attention core.

    The core is initialised first: with one seed all cores start alike, and so do the adapters of tables of one width.
    """

    def __init__(self, width: int, hidden: int, config: MltfrConfig, dropout: float) -> None:
        super().__init__()
        self.core = Attention(hidden, config.heads, dropout, config.filter.has_null_key)
        self.adapter = variance_preserving(nn.Linear(width, hidden))

    def keys_values(self, vectors: Tensor) -> tuple[Tensor, Tensor]:  # [M, W] -> [M, D], [M, D]
        """Return the keys and values of a shortlist."""
        return self.core.keys_values(self.adapter(vectors))


class Router(nn.Module):
    """One softmax over the experts; all count the same at the start."""

    def __init__(self, hidden: int, experts: int) -> None:
        super().__init__()
        self.gate = zero(nn.Linear(hidden, experts))

    def forward(self, x: Tensor) -> Tensor:  # [P, D] -> [P, N]
        """Return the weights of the experts."""
        return softmax(self.gate(x))


class ConsensusExpert(nn.Module):
    """The merged core, reading all kept tokens of the group, each through its own table's adapter."""

    def __init__(self, widths: Mapping[str, int], hidden: int, config: MltfrConfig) -> None:
        super().__init__()
        self.core = Attention(hidden, config.heads, 0.0, config.filter.has_null_key)
        self.adapters = ByTable({name: nn.Linear(width, hidden) for name, width in widths.items()})

    def keys_values(self, vectors: Sequence[Tensor]) -> tuple[Tensor, Tensor]:  # [M, W] each
        """Return the keys and values of all shortlists of the group, one after the other."""
        pairs = zip(self.adapters.each(), vectors, strict=True)
        return self.core.keys_values(torch.cat([adapter(table) for adapter, table in pairs]))

    def forward(self, x: Tensor, key: Tensor, value: Tensor, choices: Sequence[Choice]) -> Tensor:  # [P, D] -> [P, D]
        """Return the consensus; before the keys count, all tables of the group have the same share."""
        return self.core(x, key, value, Choice.join(choices))


@register_fusion("mltfr", MltfrConfig)
class MltfrFusion(MltfrRounds):
    """Multi-LLM token filtering and routing: `delta = sum_n router_n expert_n(x) + lambda consensus(x)`.

    Args:
        config: settings.
        inputs: D, whether positions look back only, the prepared tables and the seed. The tables are kept sorted by
            name: their order in a config changes nothing.

    Raises:
        ConfigError: settings that do not fit the tables, the hidden width or the backbone.
    """

    def __init__(self, config: MltfrConfig, inputs: FusionInputs) -> None:
        super().__init__()
        check_heads(config.heads, inputs.hidden)
        tables = {table.name: table for table in by_name(inputs.tables)}
        self.config, self.hidden, self.is_causal = config, inputs.hidden, inputs.is_causal
        self.rounds = self.rounds_of(config)
        self.widths = {name: table.shape[1] for name, table in tables.items()}
        self.group = consensus_group(config.consensus_group, tables)
        self.in_group = [number for number, name in enumerate(tables) if name in self.group]
        self.queries = make_queries(config.filter, inputs.is_causal, config.site)
        self.refresh_histories = config.filter.refresh_queries
        turned = config.filter.query_projection and config.filter.granularity != "static"
        self.project = QueryProjection(inputs.hidden, config.filter.rate_factor) if turned else nn.Identity()
        self.needs_prefixes = inputs.is_causal and config.knows_later_items
        dropout = config.dropout_beside(inputs.dropout)
        filters, experts = dict[str, TokenSelector](), dict[str, Expert]()
        for name, table in tables.items():
            with Seeded(inputs.seed):  # for each again: a common start, and no table depends on another
                experts[name] = Expert(table.shape[1], inputs.hidden, config, dropout)
                if config.filter.granularity == "static":
                    filters[name] = FixedTokens(table, config.filter.keep)
                else:
                    filters[name] = TokenFilter(table, inputs.hidden, config.filter)
            with Seeded(own_seed(inputs.seed, name)):
                if not config.common_start:
                    experts[name] = Expert(table.shape[1], inputs.hidden, config, dropout)
        self.filters, self.experts = ByTable(filters), ByTable(experts)
        router = Router if config.router == "learned" else MeanRouter
        with Seeded(inputs.seed):
            self.router: nn.Module = router(inputs.hidden, len(tables))
        self.consensus: ConsensusExpert | None = None
        self.statistics = Statistics(self.router, filters, config.filter.query_from == "items")

    def add_consensus(self, tensors: Mapping[str, Tensor]) -> None:
        """Add the frozen consensus expert of round 2; its tensors are what `merge_experts` returned."""
        with torch.device("meta"):  # no random numbers are drawn
            expert = ConsensusExpert({name: self.widths[name] for name in self.group}, self.hidden, self.config)
        expert.load_state_dict(dict(tensors), assign=True)
        self.consensus = freeze(expert).to(next(self.experts.parameters()).device).train(self.training)

    def prepare(self) -> Prepared:
        """Return what is the same for all positions, for as long as neither weights nor shortlists change."""
        filters, vectors = self.filters.each(), [each.shortlist.vectors for each in self.filters.each()]   # [M, W] each
        parts = zip(filters, self.experts.each(), vectors, strict=True)
        tables = [Projected(each.tokens(table), *expert.keys_values(table)) for each, expert, table in parts]
        return tables, self.consensus.keys_values([vectors[n] for n in self.in_group]) if self.consensus else None

    def choose(self, query: Tensor, tables: Sequence[Projected], positions: Tensor, count: int) -> list[Choice]:
        """Return what is kept of every table, `[P, K]`, by queries `[B, count, D]` or, one a sequence, `[B, 1, D]`."""
        asks, users = self.queries.at(query, positions)                         # [Q, D], [Q]
        pairs = zip(self.filters.each(), tables, strict=True)
        found = [each(asks, table.tokens, users, query.shape[0]) for each, table in pairs]      # [Q, K] each
        return [self.queries.spread(choice, positions, count) for choice in found]

    def forward(
        self, x: Tensor, mask: Tensor, vectors: Tensor | None = None, prepared: Prepared | None = None
    ) -> Tensor:
        """Return `delta`: `[B, L, D]`, `[B, L]`, `[B, L, D]` -> `[B, L, D]`."""
        return self.last(x, mask, x.shape[1], vectors, prepared)

    def last(
        self, x: Tensor, mask: Tensor, count: int, vectors: Tensor | None = None, prepared: Prepared | None = None
    ) -> Tensor:
        """Return `delta` at the last `count` positions: `[B, L, D]`, `[B, L]`, `[B, L, D]` -> `[B, count, D]`."""
        tables, of_consensus = prepared or self.prepare()
        query = self.query(x, mask, count, vectors)                             # [B, count, D], or [B, 1, D]
        x, mask = x[:, -count:], mask[:, -count:]
        positions = corrected_positions(x, mask, self.is_causal)                # [P]
        choices = self.choose(query, tables, positions, count)                  # [P, K] each
        at = pack(x, positions)                                                 # [P, D]
        weights = self.router(at)                                               # [P, N]
        delta = torch.zeros_like(at)
        parts = zip(self.experts.each(), tables, choices, weights.split(1, 1), strict=True)
        for expert, table, choice, weight in parts:
            delta = torch.addcmul(delta, weight, expert.core(at, table.key, table.value, choice))       # [P, D]
        if self.consensus is not None and of_consensus is not None:
            consensus = self.consensus(at, *of_consensus, [choices[number] for number in self.in_group])
            delta = delta + self.config.consensus_weight * consensus
        return unpack(delta.to(x.dtype), positions, mask.shape)
