"""MLTFR, preset `default` (arXiv 2604.18200): token filter, experts, router, consensus expert.

At position t of a history, for tables n = 1..N with tokens e of norm sqrt(W), P the filter's projection, A the adapter:

    query_t     = unit(mean of x over the history up to t)               (over all of it where positions see later ones)
    score_tnm   = scale_n cos(query_t, P_n e_nm)                         for every token m of table n's shortlist
    kept_tn     = the K tokens of the highest score + noise; w_tn = softmax of their scores
    expert_n(x) = O_n concat_h sum_k softmax_k(q_n(x) . k_n(A_n e_nk) / sqrt(d) + log w_tnk) v_n(A_n e_nk)
    delta_t     = sum_n router_n(x_t) expert_n(x_t) + lambda consensus(x_t)

The consensus expert (round 2) is the Fisher-weighted mean of the trained experts' cores, frozen. It reads the kept
tokens of all tables of its group, each through its own table's adapter.

Shapes: B users, L positions, P positions that are corrected, Q queries, D hidden width, W width of a table, M tokens
of its shortlist, K kept tokens, H heads, d = D / H.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import normalize

from mltfr.config import Config
from mltfr.fusion.attention import check_heads
from mltfr.fusion.base import FusionConfig, FusionInputs, register_fusion
from mltfr.fusion.init import Seeded, freeze, own_seed, variance_preserving, zero
from mltfr.fusion.mltfr.ablations import FixedTokens, MeanRouter
from mltfr.fusion.mltfr.diagnostics import Statistics
from mltfr.fusion.mltfr.queries import EXPONENTIAL_PER_SEQUENCE, make_queries
from mltfr.fusion.mltfr.rounds import MltfrRounds
from mltfr.fusion.mltfr.shortlist import Choice, Shortlist, TokenSelector, keep_best
from mltfr.fusion.packing import corrected_positions, pack, unpack
from mltfr.fusion.tables import ByTable, by_name, consensus_group
from mltfr.kernels.dropout import Dropout
from mltfr.kernels.gathered import gather_dot, gather_sum
from mltfr.kernels.softmax import log_softmax, softmax
from mltfr.tokens.table import PreparedTable

START_SCALE, LARGEST_SCALE = 14.0, 100.0


class TokenFilterConfig(Config):
    """Which tokens of each table are kept."""

    granularity: Literal["position", "sequence", "static"] = "position"
    """What tokens are kept for: each `position`, with the history up to it (all of it if the backbone is
    bidirectional); a whole `sequence`, which only prefixes can train; or `static`, no filter: `keep` tokens of every
    table, drawn once by the seed, the same for all and of one weight."""
    keep: int = Field(8, ge=2)
    """Tokens kept per position and table (K); with one, an expert's output would not depend on the position."""
    shortlist: int = Field(512, ge=2)
    """Tokens of each table that are candidates between two refreshes (M)."""
    refresh_queries: int = Field(1024, ge=1)
    """Training users whose queries choose the shortlist at a refresh."""
    query: Literal["mean", "exponential"] = "mean"
    """What a position of a causal backbone asks with: the mean of its history, or one that decays."""
    query_decay: float = Field(0.8, gt=0, le=1)
    """Weight of an item relative to the next one in the exponential query."""
    noise: float = Field(1.0, ge=0)
    """Gumbel noise on the scores at the start of training; there is none outside training."""
    noise_epochs: float = Field(5.0, gt=0)
    """Epochs of a round after which the noise, falling linearly, is zero."""

    @model_validator(mode="after")
    def _check(self) -> TokenFilterConfig:
        if self.granularity == "sequence" and self.query == "exponential":
            raise ValueError(EXPONENTIAL_PER_SEQUENCE)
        if self.keep > self.shortlist:
            raise ValueError(f"keep is {self.keep}, more than the shortlist's {self.shortlist} tokens")
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
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout on an expert's attention and on its output."""
    consensus_group: tuple[str, ...] = ()
    """Tables whose experts make the consensus expert; all of them if none is named."""
    consensus_weight: float = Field(0.1, ge=0)
    """Weight of the consensus expert in round 2 (lambda); 0 leaves round 2 out."""


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
        self.keep = config.keep
        self.projection = variance_preserving(nn.Linear(table.shape[1], hidden))
        self.log_scale = nn.Parameter(torch.tensor(math.log(START_SCALE)))

    def scale(self) -> Tensor:
        """Return what cosines are multiplied by, a scalar."""
        return self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()

    def tokens(self, vectors: Tensor) -> Tensor:  # [M, W] -> [M, D]
        """Return tokens whose dot products with unit queries are scores."""
        return self.scale() * normalize(self.projection(vectors), dim=-1)

    def forward(self, query: Tensor, tokens: Tensor, users: Tensor, batch: int) -> Choice:  # [Q, D], [M, D], [Q]
        """Return the tokens kept by every query; choosing them needs no gradient, weighing them does."""
        noise = self.gumbel(batch, len(tokens)) if self.training and self.noise else None      # [B, M]
        kept, score = keep_best(query, tokens, self.keep, noise, users)         # [Q, K], [Q, K]
        return Choice(kept, log_softmax(score))

    def gumbel(self, batch: int, tokens: int) -> Tensor:  # -> [B, M]
        """Draw noise for the scores, once per user and token: one position's noise tells nothing of a later one."""
        uniform = torch.rand(batch, tokens, device=self.noise_level.device)
        return -(-uniform.log()).log() * self.noise_level

    def refresh(self, queries: Tensor) -> float:  # [Q, D]
        """Choose the shortlist that covers the queries, and return the share of the old one that stays."""
        return self.shortlist.choose(queries, self.tokens)


class Attention(nn.Module):
    """Multi-head cross-attention of each position on its own kept tokens: the core of an expert, which is merged.

    The key has no bias, which would cancel in the softmax. The output starts at zero: a fresh fusion changes nothing.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query = variance_preserving(nn.Linear(hidden, hidden))
        self.key = variance_preserving(nn.Linear(hidden, hidden, bias=False))
        self.value = variance_preserving(nn.Linear(hidden, hidden))
        self.output = zero(nn.Linear(hidden, hidden))
        self.dropout = Dropout(dropout)
        self.heads = heads

    def keys_values(self, adapted: Tensor) -> tuple[Tensor, Tensor]:  # [M, D] -> [M, D], [M, D]
        """Return keys, divided by sqrt(d), and values."""
        return self.key(adapted) * (self.heads / adapted.shape[-1]) ** 0.5, self.value(adapted)

    def forward(self, x: Tensor, key: Tensor, value: Tensor, choice: Choice) -> Tensor:  # [P, D] -> [P, D]
        """Return what every position reads from its kept tokens."""
        logits = gather_dot(self.query(x), key, choice.kept, self.heads)        # [P, H, K]
        weight = self.dropout(softmax(logits + choice.log_weight.unsqueeze(1)))
        return self.dropout(self.output(gather_sum(weight, value, choice.kept)))


class Expert(nn.Module):
    """One table's expert: an adapter, which aligns the table's space, and an attention core.

    The core is initialised first: with one seed all cores start alike, and so do the adapters of tables of one width.
    """

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.core = Attention(hidden, heads, dropout)
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

    def __init__(self, widths: Mapping[str, int], hidden: int, heads: int) -> None:
        super().__init__()
        self.core = Attention(hidden, heads, dropout=0.0)
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
        self.queries = make_queries(config.filter, inputs.is_causal)
        self.needs_prefixes = inputs.is_causal and self.queries.one_per_sequence
        filters, experts = dict[str, TokenSelector](), dict[str, Expert]()
        for name, table in tables.items():
            with Seeded(inputs.seed):  # for each again: a common start, and no table depends on another
                experts[name] = Expert(table.shape[1], inputs.hidden, config.heads, config.dropout)
                if config.filter.granularity == "static":
                    filters[name] = FixedTokens(table, config.filter.keep)
                else:
                    filters[name] = TokenFilter(table, inputs.hidden, config.filter)
            with Seeded(own_seed(inputs.seed, name)):
                if not config.common_start:
                    experts[name] = Expert(table.shape[1], inputs.hidden, config.heads, config.dropout)
        self.filters, self.experts = ByTable(filters), ByTable(experts)
        router = Router if config.router == "learned" else MeanRouter
        with Seeded(inputs.seed):
            self.router: nn.Module = router(inputs.hidden, len(tables))
        self.consensus: ConsensusExpert | None = None
        self.statistics = Statistics(self.router, filters)

    def add_consensus(self, tensors: Mapping[str, Tensor]) -> None:
        """Add the frozen consensus expert of round 2; its tensors are what `merge_experts` returned."""
        with torch.device("meta"):  # no random numbers are drawn
            expert = ConsensusExpert({name: self.widths[name] for name in self.group}, self.hidden, self.config.heads)
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
        found = [each(asks, table.tokens, users, len(query)) for each, table in pairs]      # [Q, K] each
        return [self.queries.spread(choice, positions, count) for choice in found]

    def forward(self, x: Tensor, mask: Tensor, prepared: Prepared | None = None) -> Tensor:
        """Return `delta`: `[B, L, D]`, `[B, L]` -> `[B, L, D]`."""
        return self.last(x, mask, x.shape[1], prepared)

    def last(self, x: Tensor, mask: Tensor, count: int, prepared: Prepared | None = None) -> Tensor:
        """Return `delta` at the last `count` positions: `[B, L, D]`, `[B, L]` -> `[B, count, D]`."""
        tables, of_consensus = prepared or self.prepare()
        query = self.queries(x, mask, count)                                    # [B, count, D], or [B, 1, D]
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
