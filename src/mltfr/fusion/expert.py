"""One expert per LLM: the positions attend to the tokens that the filter kept from its table."""

from __future__ import annotations

from torch import Tensor, nn

from mltfr.dropout import Dropout
from mltfr.errors import ConfigError
from mltfr.fusion.by_table import ByTable
from mltfr.fusion.initial import variance_preserving, zero
from mltfr.fusion.rows import Kept, row_dot, row_sum
from mltfr.fusion.selection import Selection
from mltfr.fusion.side_by_side import linears_of_each, linears_of_one, linears_of_tables
from mltfr.softmax import softmax


class AttentionCore(nn.Module):
    """Multi-head cross-attention of each position on its own kept tokens; the part that can be merged.

    The key has no bias: it would shift all logits of a position alike and cancel in the softmax. The
    output starts at zero, so that a fresh fusion changes nothing.

    Args:
        hidden: width D.
        heads: number of heads H, a divisor of D.
        dropout: dropout on the attention and on the output.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query = variance_preserving(nn.Linear(hidden, hidden))
        self.key = variance_preserving(nn.Linear(hidden, hidden, bias=False))
        self.value = variance_preserving(nn.Linear(hidden, hidden))
        self.output = zero(nn.Linear(hidden, hidden))
        self.dropout = Dropout(dropout)
        self.heads = heads

    def forward(self, x: Tensor, rows: Tensor, kept: Kept, log_weight: Tensor) -> Tensor:
        """Return what every position reads from its kept tokens, `[P, D]`.

        Args:
            x: `[P, D]`.
            rows: adapted rows `[R, D]`.
            kept: those that are kept `[P, K]`.
            log_weight: their log weights `[P, K]`, which are added to the logits of every head.
        """
        read = self.attend(self.query(x), self.key(rows), self.value(rows), kept, log_weight)  # [P, D]
        return self.dropout(self.output(read))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, kept: Kept, log_weight: Tensor) -> Tensor:
        """Return the attention's sum of values, `[..., D]`.

        Args:
            query: `[..., D]`.
            key: `[R, D]`.
            value: `[R, D]`.
            kept: the rows that are kept `[..., K]`.
            log_weight: their log weights `[..., K]`.
        """
        return self.read(query, self.scaled(key), value, kept, log_weight)

    def scaled(self, key: Tensor) -> Tensor:
        """Return keys whose dot products with queries are logits; there are fewer keys than queries."""
        return key * (self.heads / key.shape[-1]) ** 0.5

    def read(self, query: Tensor, key: Tensor, value: Tensor, kept: Kept, log_weight: Tensor) -> Tensor:
        """Return what `attend` does, of keys that are scaled."""
        logits = row_dot(query, key, kept, self.heads) + log_weight.unsqueeze(-2)   # [..., H, K]
        return row_sum(self.dropout(softmax(logits)), value, kept)


class Expert(nn.Module):
    """An adapter, which aligns one table's space, and an attention core.

    The core is initialised first: with one seed all experts start with the same core, and those of
    tables of one width with the same adapter.

    Args:
        width: width W of the table.
        hidden: width D.
        heads: number of heads H.
        dropout: dropout on the attention and on the output.
    """

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.core = AttentionCore(hidden, heads, dropout)
        self.adapter = variance_preserving(nn.Linear(width, hidden))


class Experts(ByTable[Expert]):
    """The experts of all tables, which work side by side."""

    def forward(self, x: Tensor, selection: Selection) -> Tensor:
        """Return the correction of every table, `[N, P, D]`.

        Args:
            x: `[P, D]`.
            selection: what is kept of every table.
        """
        experts = self.each()
        cores = [expert.core for expert in experts]
        rows = linears_of_tables([expert.adapter for expert in experts], selection.vectors)     # [N, M, D]
        read = cores[0].attend(
            linears_of_one([core.query for core in cores], x),                  # [P, N, D]
            linears_of_each([core.key for core in cores], rows).flatten(0, 1),  # [N * M, D]
            linears_of_each([core.value for core in cores], rows).flatten(0, 1),    # [N * M, D]
            selection.kept,
            selection.log_weight,
        )  # [P, N, D]
        output = linears_of_each([core.output for core in cores], read.transpose(0, 1))    # [N, P, D]
        return cores[0].dropout(output)


def heads_do_not_divide(heads: int, hidden: int) -> ConfigError:
    """Return the error of a number of heads that does not divide the hidden width."""
    return ConfigError(
        f"fusion.heads is {heads}, not a divisor of backbone.hidden, which is {hidden}. Set fusion.heads to a divisor."
    )
