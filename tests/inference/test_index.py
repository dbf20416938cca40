"""The approximate index: its rules, its file, and what it says of itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mltfr.baselines.popularity import Popularity
from mltfr.errors import ConfigError, MissingExtraError, MltfrWarning
from mltfr.inference import ModelScorer, Retriever, Rules, top_k
from mltfr.inference.index import FACTS, INDEX, ItemIndex, approximate_top_k, recall
from support.networks import Network, retriever_of

ITEMS = 3000


@pytest.fixture(scope="module")
def network() -> Network:
    random = torch.Generator().manual_seed(0)
    centres = torch.randn(40, 16, generator=random)
    vectors = centres[torch.randint(0, 40, (ITEMS + 1,), generator=random)]
    vectors = vectors + 0.4 * torch.randn(ITEMS + 1, 16, generator=random)
    vectors[0] = 0
    return Network(vectors)


@pytest.fixture(scope="module")
def index(network: Network) -> ItemIndex:
    pytest.importorskip("faiss")
    return ItemIndex.build(network.scoring_matrix().detach())


def histories_of(seed: int, users: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 40, users)
    return [np.append(random.integers(1, ITEMS + 1, length), -1).astype(np.int32) for length in lengths]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), k=st.sampled_from([1, 10, 60, 2 * ITEMS]), data=st.data())
def test_rules_hold_exactly_and_nobody_gets_fewer_items(
    network: Network, index: ItemIndex, seed: int, k: int, data: st.DataObject
) -> None:
    random = np.random.default_rng(seed)
    allow = data.draw(st.sampled_from([None, 1, 30, 2000]))
    rules = Rules(
        data.draw(st.booleans()),
        None if allow is None else (random.permutation(ITEMS)[:allow] + 1).tolist(),
        (random.permutation(ITEMS)[: data.draw(st.sampled_from([0, 5, 2900]))] + 1).tolist(),
    )
    histories = histories_of(seed, 9)
    scorer = retriever_of(network).scorer
    found = approximate_top_k(index, ModelScorer(network), scorer, histories, k, rules)
    exact = top_k(scorer, histories, k, rules)
    np.testing.assert_array_equal(found.counts, exact.counts)
    blocked = rules.blocked(ITEMS)
    everything = top_k(scorer, histories, ITEMS, Rules(remove_seen=False))
    for row, history in enumerate(histories):
        codes = found.codes[row, : found.counts[row]]
        assert len(set(codes.tolist())) == len(codes)
        assert not (rules.remove_seen and np.isin(codes, history).any())
        assert blocked is None or not blocked.numpy()[codes].any()
        scores = dict(zip(everything.codes[row].tolist(), everything.scores[row].tolist(), strict=True))
        np.testing.assert_allclose(found.scores[row, : len(codes)], [scores[c] for c in codes], rtol=1e-4, atol=1e-4)
        assert (np.diff(found.scores[row, : len(codes)]) <= 0).all()


def test_most_of_the_exact_lists_are_found_and_the_report_says_how_much(network: Network, index: ItemIndex) -> None:
    histories = histories_of(3, 60)
    scorer = retriever_of(network).scorer
    found = approximate_top_k(index, ModelScorer(network), scorer, histories, 10, Rules())
    exact = top_k(scorer, histories, 10)
    report = recall(found, exact)
    by_hand = [len(set(f) & set(e)) / 10 for f, e in zip(found.codes.tolist(), exact.codes.tolist(), strict=True)]
    assert (report.k, report.histories, report.recall) == (10, 60, pytest.approx(np.mean(by_hand)))
    assert report.recall > 0.5
    assert recall(exact, exact).recall == 1
    whole = retriever_of(network).index_report(histories, 10, Rules(), 60)
    assert whole == report
    assert retriever_of(network).index_report(histories, 10, Rules(), 7).histories == 7


def test_the_index_is_kept_with_the_run_until_the_weights_differ(network: Network, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    histories = histories_of(5, 20)
    first = retriever_of(network, tmp_path).top_k(histories, 10, Rules(), "ivf")
    written = (tmp_path / INDEX).read_bytes()
    second = retriever_of(network, tmp_path).top_k(histories, 10, Rules(), "ivf")
    assert (tmp_path / INDEX).read_bytes() == written
    np.testing.assert_array_equal(first.codes, second.codes)
    vectors = network.scoring_matrix().detach()
    assert ItemIndex.load(tmp_path, vectors) is not None
    assert ItemIndex.load(tmp_path, vectors + 1) is None
    assert ItemIndex.load(tmp_path / "nowhere", vectors) is None
    other = Network(vectors + 1)
    retriever_of(other, tmp_path).top_k(histories, 10, Rules(), "ivf")
    assert ItemIndex.load(tmp_path, vectors) is None
    assert ItemIndex.load(tmp_path, vectors + 1) is not None
    (tmp_path / INDEX).write_bytes(b"damaged")
    assert ItemIndex.load(tmp_path, vectors + 1) is None
    (tmp_path / FACTS).write_text(json.dumps([1]))
    assert ItemIndex.load(tmp_path, vectors + 1) is None


def test_a_folder_may_come_after_the_index(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is saved takes what requests before have made; nothing is made again."""
    retriever, histories = retriever_of(network), histories_of(5, 2)
    retriever.keep_in(tmp_path / "no")  # nothing is made yet
    found = retriever.top_k(histories, 10, Rules(), "ivf")
    retriever.keep_in(tmp_path)
    assert (tmp_path / INDEX).is_file()
    monkeypatch.setattr(ItemIndex, "build", pytest.fail)
    for each in (retriever, retriever_of(network, tmp_path)):
        assert np.array_equal(each.top_k(histories, 10, Rules(), "ivf").codes, found.codes)


def test_an_index_that_cannot_be_saved_still_answers(network: Network, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    (tmp_path / "file").write_text("")
    with pytest.warns(MltfrWarning, match="The index was not saved"):
        found = retriever_of(network, tmp_path / "file").top_k(histories_of(5, 2), 10, Rules(), "ivf")
    assert found.counts.tolist() == [10, 10]


def test_without_the_extra_one_line_says_what_to_install(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"faiss is not installed. Install it with: pip install 'mltfr\[ann\]'"):
        retriever_of(network).top_k(histories_of(0, 1), 3, Rules(), "ivf")


def test_a_baseline_has_no_index() -> None:
    retriever = Retriever(lambda: Popularity.of_counts(np.arange(10)))
    with pytest.raises(ConfigError, match="Only a network on a CPU has an approximate index"):
        retriever.top_k([np.array([1], np.int32)], 3, Rules(), "ivf")
