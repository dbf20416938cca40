"""The largest entries of rows: the fast choice is exactly torch's."""

from __future__ import annotations

import pytest
import torch

from mltfr.kernels.top_k import top_k


@pytest.mark.parametrize("columns", [12, 64, 100, 512, 1024])
@pytest.mark.parametrize("kind", ["normal", "negative", "ties", "minus infinity", "all the same", "tiny"])
def test_they_are_the_top_k(columns: int, kind: str) -> None:
    scores = torch.randn(35, columns, generator=torch.Generator().manual_seed(0))
    if kind == "negative":
        scores = -scores.abs()
    elif kind == "ties":
        scores = scores.round()
    elif kind == "minus infinity":
        scores[..., 3:] = -torch.inf
    elif kind == "all the same":
        scores = torch.zeros_like(scores)
    elif kind == "tiny":
        scores = scores * 1e-42
    before = scores.clone()
    found = top_k(scores, 8)
    assert torch.equal(scores, before)
    assert found.shape == (35, 8)
    assert all(len(set(row)) == 8 for row in found.tolist())
    values = scores.gather(-1, found).sort(-1, descending=True).values
    assert torch.equal(values, scores.topk(8, dim=-1).values)


def test_nearest_neighbours_of_float32_are_told_apart() -> None:
    one = torch.ones(20, 512)
    one[0, 77] = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    one[0, 401] = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))
    found = top_k(one, 63)[0].tolist()
    assert 77 in found
    assert 401 not in found


@pytest.mark.parametrize("count", [63, 64, 65])
@pytest.mark.parametrize("rows", [0, 3, 20])
def test_as_many_as_there_are_groups_and_more(count: int, rows: int) -> None:
    scores = torch.randn(rows, 512, generator=torch.Generator().manual_seed(0))
    found = top_k(scores, count)
    assert found.shape == (rows, count)
    values = scores.gather(-1, found).sort(-1, descending=True).values
    assert torch.equal(values, scores.topk(count, dim=-1).values)
