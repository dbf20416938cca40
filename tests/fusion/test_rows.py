"""Products with kept rows: the gradients written by hand equal torch's."""

from __future__ import annotations

import pytest
import torch

from mltfr.fusion.rows import Kept, row_dot, row_sum

K, B, L, M, D = 3, 4, 5, 7, 8


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randint(0, M - 1, (B, L, K), generator=torch.Generator().manual_seed(0))  # row 6 never


@pytest.mark.parametrize("heads", [1, 2])
def test_gradients_by_hand_equal_those_of_torch(rows: torch.Tensor, heads: int) -> None:
    torch.manual_seed(1)
    query = torch.randn(B, L, D, dtype=torch.double, requires_grad=True)
    weight = torch.randn(B, L, heads, K, dtype=torch.double, requires_grad=True)
    table = torch.randn(M, D, dtype=torch.double, requires_grad=True)
    results = []
    for by_hand in (True, False):
        kept = Kept(rows, M, by_hand)
        dot, total = row_dot(query, table, kept, heads), row_sum(weight, table, kept)
        assert dot.shape == (B, L, heads, K)
        assert total.shape == (B, L, D)
        assert ("_RowDot" in dot.grad_fn.name()) == by_hand
        assert ("_RowSum" in total.grad_fn.name()) == by_hand
        loss = (dot * torch.arange(dot.numel()).view_as(dot)).sum() + total.sin().sum()
        results.append((dot, total, *torch.autograd.grad(loss, (query, weight, table))))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_positions_of_any_shape_and_more_than_are_gathered_at_once(
    rows: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, table, weight = torch.randn(B, L, D), torch.randn(M, D), torch.randn(B, L, 2, K)
    dot, total = row_dot(query, table, Kept(rows, M, False), 2), row_sum(weight, table, Kept(rows, M, False))
    monkeypatch.setattr("mltfr.fusion.rows.POSITIONS_AT_ONCE", 3)
    flat = Kept(rows.flatten(0, 1), M, True)
    torch.testing.assert_close(row_dot(query.flatten(0, 1), table, flat, 2), dot.flatten(0, 1))
    torch.testing.assert_close(row_sum(weight.flatten(0, 1), table, flat), total.flatten(0, 1))


@pytest.mark.parametrize("by_hand", [True, False])
def test_no_positions(by_hand: bool) -> None:
    none = Kept(torch.zeros(2, 0, K, dtype=torch.long), M, by_hand)
    query = torch.zeros(2, 0, D, requires_grad=True)
    table = torch.randn(M, D, requires_grad=True)
    weight = torch.zeros(2, 0, 2, K, requires_grad=True)
    dot, total = row_dot(query, table, none, 2), row_sum(weight, table, none)
    assert dot.shape == weight.shape
    assert total.shape == query.shape
    for gradient in torch.autograd.grad(dot.sum() + total.sum(), (query, table, weight)):
        assert (gradient == 0).all()


def test_rows_of_several_tables_as_those_of_one(rows: torch.Tensor) -> None:
    several = Kept(rows, M, True)
    places, starts = several.joined().occurrences()
    assert several.occurrences()[0] is places, "they are sorted twice"
    assert torch.equal(rows.flatten()[places], rows.flatten().sort().values)
    assert torch.equal(starts, torch.searchsorted(rows.flatten().sort().values, torch.arange(M)))
    assert torch.equal(Kept(rows, 1 << 17, True).occurrences()[0], places)
