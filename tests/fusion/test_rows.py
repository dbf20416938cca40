"""Products with kept rows: the gradients written by hand equal torch's."""

from __future__ import annotations

import pytest
import torch

from mltfr.fusion.rows import Kept, row_dot, row_sum

K, B, L, M, D = 3, 4, 5, 7, 8


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randint(0, M - 1, (K, B, L), generator=torch.Generator().manual_seed(0))  # row 6 never


@pytest.mark.parametrize("heads", [1, 2])
def test_gradients_by_hand_equal_those_of_torch(rows: torch.Tensor, heads: int) -> None:
    torch.manual_seed(1)
    query = torch.randn(B, L, D, dtype=torch.double, requires_grad=True)
    weight = torch.randn(K, B, L, heads, dtype=torch.double, requires_grad=True)
    table = torch.randn(M, D, dtype=torch.double, requires_grad=True)
    results = []
    for by_hand in (True, False):
        kept = Kept(rows, by_hand)
        dot, total = row_dot(query, table, kept, heads), row_sum(weight, table, kept)
        assert dot.shape == (K, B, L, heads)
        assert total.shape == (B, L, D)
        assert ("_RowDot" in dot.grad_fn.name()) == by_hand
        assert ("_RowSum" in total.grad_fn.name()) == by_hand
        loss = (dot * torch.arange(K * B * L * heads).view_as(dot)).sum() + total.sin().sum()
        results.append((dot, total, *torch.autograd.grad(loss, (query, weight, table))))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_rows_shared_by_all_positions_of_a_user(rows: torch.Tensor) -> None:
    query, table, weight = torch.randn(B, L, D), torch.randn(M, D), torch.randn(K, B, L, 2)
    shared, each = Kept(rows[..., :1], True), Kept(rows[..., :1].expand(K, B, L).contiguous(), True)
    torch.testing.assert_close(row_dot(query, table, shared, 2), row_dot(query, table, each, 2))
    torch.testing.assert_close(row_sum(weight, table, shared), row_sum(weight, table, each))
