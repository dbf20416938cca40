"""The one source of item vectors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mltfr.item_vectors import Change, ItemVectors
from mltfr.testing.toy import ITEMS

WIDTH = 4
CODES = torch.tensor([[0, 3, 3], [1, 0, 5]])


def table() -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(ITEMS + 1, WIDTH, padding_idx=0)


def doubled(codes: Tensor, vectors: Tensor) -> Tensor:
    return 2 * vectors


def with_code(codes: Tensor, vectors: Tensor) -> Tensor:
    return vectors + codes.unsqueeze(-1)


@pytest.mark.parametrize("whole", [False, True])
def test_without_a_change_they_are_the_embedding_itself(whole: bool) -> None:
    embedding = table()
    vectors = ItemVectors(embedding, whole=whole)
    assert vectors.all() is embedding.weight
    assert torch.equal(vectors.of(CODES), embedding(CODES))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("changes", "wanted"), [([doubled, with_code], (2, 1)), ([with_code, doubled], (2, 2))])
def test_changes_act_in_their_order(whole: bool, changes: list[Change], wanted: tuple[int, int]) -> None:
    embedding = table()
    vectors = ItemVectors(embedding, changes, whole)
    expected = wanted[0] * embedding.weight + wanted[1] * torch.arange(ITEMS + 1).unsqueeze(-1)
    torch.testing.assert_close(vectors.all(), expected)
    torch.testing.assert_close(vectors.of(CODES), expected[CODES])


def test_all_at_once_and_by_lookup_have_one_gradient_and_none_at_padding() -> None:
    gradients = []
    for whole in (False, True):
        embedding = table()
        vectors = ItemVectors(embedding, [lambda codes, rows: rows.tanh()], whole)
        torch.autograd.backward((vectors.of(CODES) * torch.arange(1.0, 4).unsqueeze(-1)).sin().sum())
        assert embedding.weight.grad is not None
        gradients.append(embedding.weight.grad)
        assert not embedding.weight.grad[[0, 2]].any()
        assert embedding.weight.grad[[1, 3, 5]].all()
    torch.testing.assert_close(gradients[0], gradients[1])


def test_by_lookup_a_row_is_changed_once_however_often_it_is_asked_for() -> None:
    asked: list[list[int]] = []

    def note(codes: Tensor, vectors: Tensor) -> Tensor:
        asked.append(codes.tolist())
        return vectors

    ItemVectors(table(), [note]).of(CODES)
    assert asked == [[0, 1, 3, 5]]


def test_without_gradient_all_rows_are_changed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltfr.item_vectors.ROWS_AT_ONCE", 3)
    sizes: list[int] = []

    def note(codes: Tensor, vectors: Tensor) -> Tensor:
        sizes.append(len(codes))
        return with_code(codes, vectors)

    embedding = table()
    with torch.no_grad():
        found = ItemVectors(embedding, [note], whole=True).all()
    assert max(sizes) == 3
    torch.testing.assert_close(found, with_code(torch.arange(ITEMS + 1), embedding.weight))
