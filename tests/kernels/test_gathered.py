"""The gather kernels equal their plain twins: values and gradients, in every type, under transforms, on a GPU."""

from __future__ import annotations

import pytest
import torch
from torch.func import vmap

from mltfr.kernels import gathered, plain, plain_twins
from mltfr.kernels.gathered import ONE_BY_ONE, GatherIndex, gather_dot, gather_sum, look_up_dot

K, P, R, D = 3, 20, 7, 8


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randint(0, R - 1, (P, K), generator=torch.Generator().manual_seed(0))  # row 6 never


def inputs(heads: int, **options: object) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(P, D, **options), torch.randn(P, heads, K, **options), torch.randn(R, D, **options)


@pytest.mark.parametrize("heads", [1, 2])
def test_values_and_gradients_equal_those_of_the_plain_twins(rows: torch.Tensor, heads: int) -> None:
    query, weight, table = inputs(heads, dtype=torch.double, requires_grad=True)
    index, results = GatherIndex(rows, R), []
    for dot, total in (
        (gather_dot(query, table, index, heads), gather_sum(weight, table, index)),
        (plain.gather_dot(query, table, rows, heads), plain.gather_sum(weight, table, rows)),
    ):
        assert dot.shape == (P, heads, K)
        assert total.shape == (P, D)
        loss = (dot * torch.arange(dot.numel()).view_as(dot)).sum() + total.sin().sum()
        results.append((dot, total, *torch.autograd.grad(loss, (query, weight, table))))
    assert "_GatherDot" in gather_dot(query, table, index).grad_fn.name()
    assert "_GatherSum" in gather_sum(weight, table, index).grad_fn.name()
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_table_without_a_gradient_is_not_sorted(rows: torch.Tensor) -> None:
    query, weight, _ = inputs(2, requires_grad=True)
    index = GatherIndex(rows, R)
    dot, total = gather_dot(query, torch.randn(R, D), index, 2), gather_sum(weight, torch.randn(R, D), index)
    (dot.sum() + total.sum()).backward()
    assert "order" not in vars(index)
    assert query.grad is not None
    assert weight.grad is not None


@pytest.mark.parametrize(("numbers", "positions"), [(3 * K * D, 3), (6 * K * D - 1, 5), (1, 1)])
def test_more_positions_than_are_gathered_at_once(
    rows: torch.Tensor, monkeypatch: pytest.MonkeyPatch, numbers: int, positions: int
) -> None:
    query, weight, table = inputs(2)
    monkeypatch.setattr(gathered, "NUMBERS_AT_ONCE", numbers)
    index, taken, select = GatherIndex(rows, R), [], torch.Tensor.index_select
    with monkeypatch.context() as watched:
        watched.setattr(torch.Tensor, "index_select", lambda *given: taken.append(len(given[2]) // K) or select(*given))
        gather_dot(query, table, index, 2)
    assert max(taken) == positions
    torch.testing.assert_close(gather_dot(query, table, index, 2), plain.gather_dot(query, table, rows, 2))
    torch.testing.assert_close(gather_sum(weight, table, index), plain.gather_sum(weight, table, rows))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("each", "items"), [(ONE_BY_ONE, 50), (ONE_BY_ONE + 1, 50), (ONE_BY_ONE + 1, 5_000)])
def test_rows_that_are_looked_up_equal_the_plain_twin(each: int, items: int, sparse: bool) -> None:
    torch.manual_seed(2)
    codes = torch.randint(0, items, (P, each))
    table = torch.nn.Embedding(items, D, dtype=torch.double, sparse=sparse)
    query, weight = torch.randn(P, D, dtype=torch.double, requires_grad=True), torch.randn(P, each).double()
    asked: list[torch.Tensor] = []

    def lookup(rows: torch.Tensor) -> torch.Tensor:
        asked.append(rows)
        vectors: torch.Tensor = table(rows)
        return vectors.sin()

    results = []
    for dot in (look_up_dot, plain.look_up_dot):
        scores = dot(query, lookup, codes)
        assert scores.shape == (P, each)
        of_query, of_table = torch.autograd.grad((scores * weight).sum(), (query, table.weight))
        results.append((scores, of_query, of_table.to_dense()))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert torch.equal(asked[0], codes.unique() if each > ONE_BY_ONE else codes)


def test_no_positions() -> None:
    none = GatherIndex(torch.zeros(0, K, dtype=torch.long), R)
    query = torch.zeros(0, D, requires_grad=True)
    table = torch.randn(R, D, requires_grad=True)
    weight = torch.zeros(0, 2, K, requires_grad=True)
    dot, total = gather_dot(query, table, none, 2), gather_sum(weight, table, none)
    assert dot.shape == weight.shape
    assert total.shape == query.shape
    for gradient in torch.autograd.grad(dot.sum() + total.sum(), (query, table, weight)):
        assert (gradient == 0).all()
    scores = look_up_dot(query, lambda rows: table[rows], torch.zeros(0, ONE_BY_ONE + 1, dtype=torch.long))
    assert scores.shape == (0, ONE_BY_ONE + 1)
    assert not torch.autograd.grad(scores.sum(), query)[0].numel()


def test_in_half_precision_and_under_autocast_the_plain_twins_compute(rows: torch.Tensor) -> None:
    query, weight, table = inputs(2, dtype=torch.bfloat16, requires_grad=True)
    index = GatherIndex(rows, R)
    assert torch.equal(gather_dot(query, table, index, 2), plain.gather_dot(query, table, rows, 2))
    assert torch.equal(gather_sum(weight, table, index), plain.gather_sum(weight, table, rows))
    query, weight, table = inputs(2, requires_grad=True)
    many, asked = torch.zeros(P, ONE_BY_ONE + 1, dtype=torch.long), []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        look_up_dot(query, lambda rows: asked.append(rows) or table[rows], many)
        assert asked[0] is many
        assert gather_dot(query, table, index, 2).dtype == gather_sum(weight, table, index).dtype == torch.bfloat16


def test_under_vmap_the_plain_twins_compute(rows: torch.Tensor) -> None:
    query, weight, table = inputs(2)

    def both(query: torch.Tensor, weight: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        index = GatherIndex(rows.unsqueeze(0), R)
        return gather_dot(query.unsqueeze(0), table, index, 2)[0], gather_sum(weight.unsqueeze(0), table, index)[0]

    with plain_twins():
        dot, total = vmap(both)(query, weight, rows)
    torch.testing.assert_close(dot, plain.gather_dot(query, table, rows, 2))
    torch.testing.assert_close(total, plain.gather_sum(weight, table, rows))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(rows: torch.Tensor) -> None:
    query, weight, table = inputs(2)
    index = GatherIndex(rows.cuda(), R)
    dot = gather_dot(query.cuda(), table.cuda(), index, 2).cpu()
    total = gather_sum(weight.cuda(), table.cuda(), index).cpu()
    torch.testing.assert_close(dot, gather_dot(query, table, GatherIndex(rows, R), 2))
    torch.testing.assert_close(total, gather_sum(weight, table, GatherIndex(rows, R)))


def test_joined_indices_read_the_tables_laid_one_after_the_other(rows: torch.Tensor) -> None:
    query, _, table = inputs(2)
    other = torch.randn(R + 2, D)
    first, second = GatherIndex(rows, R), GatherIndex(rows + 2, R + 2)
    joined = gather_dot(query, torch.cat([table, other]), GatherIndex.join([first, second]), 2)
    apart = [gather_dot(query, table, first, 2), gather_dot(query, other, second, 2)]
    torch.testing.assert_close(joined, torch.cat(apart, dim=-1))


@pytest.mark.parametrize("size", [R, 1 << 17])
def test_entries_are_sorted_by_row(rows: torch.Tensor, size: int) -> None:
    entries, starts = GatherIndex(rows, size).order
    ascending = rows.flatten().sort().values
    assert torch.equal(rows.flatten()[entries], ascending)
    assert torch.equal(starts, torch.searchsorted(ascending, torch.arange(size)))
