"""The consensus expert of round 2: the experts of round 1, merged and frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from torch import Tensor, nn

from mltfr.fusion.by_table import ByTable, module_key
from mltfr.fusion.expert import AttentionCore
from mltfr.fusion.fisher import merge_by_fisher
from mltfr.fusion.selection import Selection
from mltfr.fusion.side_by_side import linears_of_tables
from mltfr.prefixes import under_prefix

ConsensusRows: TypeAlias = tuple[Tensor, Tensor]


class ConsensusExpert(nn.Module):
    """The merged core, reading all kept tokens of the group, each through its own table's adapter.

    Args:
        widths: width W of every table of the group.
        hidden: width D.
        heads: number of heads H.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int, heads: int) -> None:
        super().__init__()
        self.core = AttentionCore(hidden, heads, dropout=0.0)
        self.adapters = ByTable({name: nn.Linear(width, hidden) for name, width in widths.items()})

    def rows(self, vectors: Sequence[Tensor]) -> ConsensusRows:
        """Return what is the same for all positions: scaled keys and values `[N * M, D]` of the shortlists `[M, W]`."""
        rows = linears_of_tables(self.adapters.each(), vectors).flatten(0, 1)                   # [N * M, D]
        return self.core.scaled(self.core.key(rows)), self.core.value(rows)

    def forward(self, x: Tensor, selection: Selection, rows: ConsensusRows | None = None) -> Tensor:
        """Return the consensus correction `[P, D]`.

        The weights of each table sum to 1, so before the keys count all tables have the same share.

        Args:
            x: `[P, D]`.
            selection: what is kept of every table of the group.
            rows: what `rows` returns, if it is known.
        """
        key, value = rows or self.rows(selection.vectors)
        query = self.core.query(x)                                              # [P, D]
        read = self.core.read(query, key, value, selection.kept.joined(), selection.log_weight.flatten(1))
        return self.core.output(read)


def merge_experts(
    group: Sequence[str], experts: Mapping[str, Tensor], fisher: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the consensus expert's tensors: the cores merged, the adapters as they are.

    Args:
        group: names of the tables.
        experts: state of all experts, named `{table}.core.*` and `{table}.adapter.*`.
        fisher: Fisher information of the cores, named the same.
    """
    keys = [module_key(name) for name in group]
    merged = merge_by_fisher(
        [under_prefix(f"{key}.core", experts) for key in keys], [under_prefix(f"{key}.core", fisher) for key in keys]
    )
    tensors = {f"core.{name}": tensor for name, tensor in merged.items()}
    for key in keys:
        for name, tensor in under_prefix(f"{key}.adapter", experts).items():
            tensors[f"adapters.{key}.{name}"] = tensor.detach().clone()
    return tensors
