"""Small requests by onnxruntime get what torch finds, and what has no graph is refused before it is served."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mltfr import Recommender
from mltfr.errors import MissingExtraError, RunError
from mltfr.export import formats
from mltfr.inference import Rules
from mltfr.interactions import UNKNOWN
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.serve import graph as module
from mltfr.serve.graph import MAX_HISTORIES, GraphSearch
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.process import check_run
from mltfr.serve.reload import Reloader
from support.service import RUNS, client_of

pytestmark = pytest.mark.slow  # the run is exported first, in a process of its own


@pytest.fixture(scope="module")
def graph() -> GraphSearch:
    return GraphSearch.of(RUNS / "mltfr")


@pytest.fixture
def exported(graph: GraphSearch, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Have every run's graph be the one that is there already; return the folders that are asked for one."""
    asked: list[Path] = []
    monkeypatch.setattr(GraphSearch, "of", lambda folder: asked.append(folder) or graph)
    return asked


def asked_for(count: int, items: int, seed: int) -> list[np.ndarray]:
    """Return random histories: empty ones, unknown items, repeats, and some longer than what the model reads."""
    random, codes = np.random.default_rng(seed), np.array([UNKNOWN, *range(1, items + 1)], np.int32)
    return [random.choice(codes, random.choice([0, 1, 2, 6, 40])) for _ in range(count)]


@pytest.mark.parametrize("remove_seen", [True, False])
@pytest.mark.parametrize("deny", [(), (3, 8, 9)])
@pytest.mark.parametrize("k", [1, 5, 30])
def test_it_finds_what_torch_finds(run: LoadedRun, graph: GraphSearch, remove_seen, deny, k) -> None:
    rules, items = Rules(remove_seen, None, deny), len(run.fitted.split.vocabulary)
    for count in range(MAX_HISTORIES + 1):
        histories = asked_for(count, items, seed=10 * count + k)
        found, expected = graph.top_k(histories, k, rules), run.own.retriever.top_k(histories, k, rules)
        assert found is not None
        assert found.counts.tolist() == expected.counts.tolist()
        assert (found.codes.dtype, found.scores.dtype) == (expected.codes.dtype, expected.scores.dtype)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-4)
        listed = np.where(expected.codes > 0, expected.scores, -1e6)
        apart = abs(np.diff(listed, axis=1, prepend=np.inf))  # to the item before
        clear = np.minimum(apart, np.roll(apart, -1, axis=1)) > 2e-4  # no neighbour's score is as good as equal
        clear[:, -1] = False  # who comes next is not known
        assert (found.codes == expected.codes)[clear].all()
        assert not np.isin(found.codes, deny).any()


def test_what_it_does_not_answer_is_left_to_torch(run: LoadedRun, graph: GraphSearch) -> None:
    items, either = len(run.fitted.split.vocabulary), replace(run, graph=graph).own
    for count, rules in ((MAX_HISTORIES + 1, Rules()), (2, Rules(allow=[2, 3, 5]))):
        histories = asked_for(count, items, seed=count)
        assert graph.top_k(histories, 5, rules) is None
        found, expected = either.top_k(histories, 5, rules), run.own.retriever.top_k(histories, 5, rules)
        assert found.codes.tolist() == expected.codes.tolist()


def test_a_service_says_that_it_computes_so_and_answers_the_same(run: LoadedRun, graph: GraphSearch) -> None:
    ids = run.fitted.split.vocabulary.item_ids
    asked = {"users": [run.fitted.split.user_ids[2]], "histories": [["i3", "i9", "nope"], []], "k": 4, "deny": [ids[0]]}
    fast = replace(run, graph=graph)
    fast.warm_up()
    with client_of(run) as one, client_of(fast) as other:
        expected, found = one.recommend(**asked)["results"], other.recommend(**asked)["results"]
        about = other.get("/v1/info").json()
    for each, true in zip(found, expected, strict=True):
        scores = [[item.pop("score") for item in row["items"]] for row in (each, true)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)
        assert each == true
    (note,) = about["notes"]
    assert "onnxruntime answers requests of up to 8 histories" in note
    assert about["limits"]["max_batch"] == MAX_HISTORIES
    assert str(graph.parity) in note


def test_what_waits_goes_in_batches_that_the_graph_takes(
    run: LoadedRun, graph: GraphSearch, monkeypatch
) -> None:
    fast, sizes, search = replace(run, graph=graph), [], graph.top_k
    monkeypatch.setattr(graph, "top_k", lambda found, *how: sizes.append(len(found)) or search(found, *how))
    asked = [("POST", "/v1/recommend", {"json": {"histories": [["i3", "i9"]], "k": 3}})] * 40
    with client_of(fast) as client:
        assert {answer.status_code for answer in client.together(asked)} == {200}
    assert sum(sizes) == 40
    assert max(sizes) <= MAX_HISTORIES
    assert (fast.together(64), fast.together(4), run.together(64)) == (MAX_HISTORIES, 4, 64)


def test_a_reloaded_run_gets_a_graph_of_its_own(run, graph, exported, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(RUNS / "bare", folder)
    with client_of(LoadedRun.load(folder)) as client:
        shutil.rmtree(folder)
        shutil.copytree(RUNS / "mltfr", folder)
        assert Reloader(client.service, folder, onnx=True).reload() == "switched"
        assert client.service.run.graph is graph
    assert exported == [folder]


def test_check_says_how_it_compares(graph: GraphSearch, exported: list[Path]) -> None:
    assert f"can be served with onnxruntime ({graph.parity});" in check_run(RUNS / "mltfr", onnx=True)


def test_what_has_no_graph_is_refused(tmp_path: Path) -> None:
    log = synthetic(SyntheticConfig(users=30, items=12, topics=2, mean_length=5), seed=0).log
    Recommender("popularity").fit(log).save(tmp_path / "popular")
    with pytest.raises(RunError, match=r"popular: cannot be served with --onnx\. 'popularity' is a baseline: it is no"):
        LoadedRun.load(tmp_path / "popular", onnx=True)


def test_without_its_packages_it_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "NEEDED", ("no_such_package",))
    monkeypatch.delattr(module.subprocess, "run")
    with pytest.raises(MissingExtraError, match=r"pip install 'mltfr\[export\]'"):
        LoadedRun.load(RUNS / "bare", onnx=True)


def test_a_run_that_changes_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch, graph: GraphSearch) -> None:
    seen = iter(["before", "after"])
    monkeypatch.setattr(module, "run_fingerprint", lambda _: next(seen))
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: module.subprocess.CompletedProcess([], 0, "", ""))
    with pytest.raises(RunError, match="another run was written there while it was exported"):
        GraphSearch.of(RUNS / "bare")
