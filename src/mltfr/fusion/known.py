"""What scoring need not compute again while weights and shortlists stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mltfr.fusion.consensus import ConsensusRows
from mltfr.fusion.expert import Experts
from mltfr.fusion.selection import FilterRows, Selection
from mltfr.fusion.side_by_side import linears_of_each, linears_of_tables


@dataclass(frozen=True)
class ExpertRows:
    """What reading needs to know of N experts, whoever reads.

    Attributes:
        query: weights and biases of the queries, `[N * D, D]` and `[N * D]`.
        key: keys of the shortlists, scaled, `[N * M, D]`.
        value: values `[N * M, D]`.
        output: weights and biases of the outputs, `[N * D, D]` and `[N, D]`.
    """

    query: tuple[Tensor, Tensor]
    key: Tensor
    value: Tensor
    output: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Known:
    """What is the same for all histories: of the filters (None if nobody chooses), the experts, and the consensus."""

    filters: FilterRows | None
    experts: ExpertRows
    consensus: ConsensusRows | None


def expert_rows(experts: Experts, vectors: Sequence[Tensor]) -> ExpertRows:
    """Return what is the same for all positions.

    Args:
        experts: the experts of N tables.
        vectors: every table's shortlist `[M, W]`.
    """
    cores = [expert.core for expert in experts.each()]
    rows = linears_of_tables([expert.adapter for expert in experts.each()], vectors)        # [N, M, D]
    outputs = [core.output for core in cores]
    return ExpertRows(
        query=(torch.cat([core.query.weight for core in cores]), torch.cat([core.query.bias for core in cores])),
        key=cores[0].scaled(linears_of_each([core.key for core in cores], rows).flatten(0, 1)),
        value=linears_of_each([core.value for core in cores], rows).flatten(0, 1),
        output=(torch.cat([layer.weight.T for layer in outputs]), torch.stack([layer.bias for layer in outputs])),
    )


def routed(experts: Experts, x: Tensor, selection: Selection, weights: Tensor, rows: ExpertRows) -> Tensor:
    """Return the routed sum of the experts' corrections `[P, D]`, outside training.

    An output is linear, so that what was read is weighted first, and the outputs of all experts are one product.

    Args:
        experts: the experts of N tables.
        x: `[P, D]`.
        selection: what is kept of every table.
        weights: how much each expert counts `[P, N]`.
        rows: what `expert_rows` returned.
    """
    query = functional.linear(x, *rows.query).view(*weights.shape, -1)          # [P, N, D]
    core = experts.each()[0].core
    read = core.read(query, rows.key, rows.value, selection.kept, selection.log_weight)     # [P, N, D]
    weight, bias = rows.output
    return torch.addmm(weights @ bias, (read * weights.unsqueeze(-1)).flatten(1), weight)
