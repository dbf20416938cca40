"""Small requests by onnxruntime get what torch finds, and what has no graph is refused before it is served."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from mltfr import Recommender
from mltfr.errors import MissingExtraError, RunError
from mltfr.export import formats
from mltfr.inference import Rules
from mltfr.interactions import UNKNOWN
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.pipeline import load_artifact
from mltfr.pipeline.fitted import FittedModel
from mltfr.serve import graph as module
from mltfr.serve import loaded
from mltfr.serve.graph import MAX_HISTORIES, GraphSearch
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.process import check_run
from mltfr.serve.reload import Reloader
from mltfr.storage.child import Ended
from support.service import RUNS, client_of

slow = pytest.mark.slow  # the run is exported first, in a process of its own


@pytest.fixture(scope="module")
def graph() -> GraphSearch:
    return GraphSearch.of(RUNS / "mltfr", load_artifact(RUNS / "mltfr"))


@pytest.fixture
def exported(graph: GraphSearch, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Have every run's graph be the one that is there already; return the folders that are asked for one."""
    asked: list[Path] = []
    monkeypatch.setattr(GraphSearch, "of", lambda folder, fitted: asked.append(folder) or graph)
    return asked


def asked_for(count: int, items: int, seed: int) -> list[np.ndarray]:
    """Return random histories: empty ones, unknown items, repeats, and some longer than what the model reads."""
    random, codes = np.random.default_rng(seed), np.array([UNKNOWN, *range(1, items + 1)], np.int32)
    return [random.choice(codes, random.choice([0, 1, 2, 6, 40])) for _ in range(count)]


@slow
@pytest.mark.parametrize("remove_seen", [True, False])
@pytest.mark.parametrize("deny", [(), (3, 8, 9)])
@pytest.mark.parametrize("k", [1, 5, 30])
def test_it_finds_what_torch_finds(run: LoadedRun, graph: GraphSearch, remove_seen, deny, k) -> None:
    rules, items, compared = Rules(remove_seen, None, deny), len(run.fitted.split.vocabulary), 0
    for count in range(MAX_HISTORIES + 1):
        histories = asked_for(count, items, seed=10 * count + k)
        found, expected = graph.top_k(histories, k, rules), run.own.retriever.top_k(histories, k, rules)
        assert found is not None
        assert found.counts.tolist() == expected.counts.tolist()
        assert (found.codes.dtype, found.scores.dtype) == (expected.codes.dtype, expected.scores.dtype)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-4)
        longer = run.own.retriever.top_k(histories, k + 1, rules)
        listed = np.where(longer.codes > 0, longer.scores, -1e6)
        apart = abs(np.diff(listed, axis=1, prepend=np.inf, append=-np.inf))[:, : found.codes.shape[1] + 1]
        clear = np.minimum(apart[:, :-1], apart[:, 1:]) > 2e-4  # no neighbour's score is as good as equal
        assert (found.codes == expected.codes)[clear].all()
        compared += int(clear.sum())
        assert not np.isin(found.codes, deny).any()
    assert compared > 9 * k


@slow
def test_what_it_does_not_answer_is_left_to_torch(run: LoadedRun, graph: GraphSearch) -> None:
    items, either = len(run.fitted.split.vocabulary), replace(run, graph=graph).own
    for count, rules in ((MAX_HISTORIES + 1, Rules()), (2, Rules(allow=[2, 3, 5]))):
        histories = asked_for(count, items, seed=count)
        assert graph.top_k(histories, 5, rules) is None
        found, expected = either.top_k(histories, 5, rules), run.own.retriever.top_k(histories, 5, rules)
        assert found.codes.tolist() == expected.codes.tolist()


@slow
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


@slow
def test_what_waits_goes_in_batches_that_the_graph_takes(run: LoadedRun, graph: GraphSearch, monkeypatch) -> None:
    fast, sizes, search = replace(run, graph=graph), [], graph.top_k
    monkeypatch.setattr(graph, "top_k", lambda found, *how: sizes.append(len(found)) or search(found, *how))
    asked = [("POST", "/v1/recommend", {"json": {"histories": [["i3", "i9"]], "k": 3}})] * 40
    with client_of(fast, start=False) as client, ThreadPoolExecutor() as pool:
        answers = pool.submit(client.together, asked)
        while len(client.service.queue) < len(asked):
            sleep(0.01)
        client.service.start()
        assert {answer.status_code for answer in answers.result()} == {200}
    assert sizes == [MAX_HISTORIES] * 5
    assert (fast.together(64), fast.together(4), run.together(64)) == (MAX_HISTORIES, 4, 64)


@slow
def test_a_reloaded_run_gets_a_graph_of_its_own(run, graph, exported, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(RUNS / "bare", folder)
    with client_of(LoadedRun.load(folder)) as client:
        shutil.rmtree(folder)
        shutil.copytree(RUNS / "mltfr", folder)
        assert Reloader(client.service, folder, onnx=True).reload() == "switched"
        assert client.service.run.graph is graph
    assert exported == [folder]


@slow
def test_check_says_how_it_compares(graph: GraphSearch, exported: list[Path]) -> None:
    assert f"can be served with onnxruntime ({graph.parity});" in check_run(RUNS / "mltfr", onnx=True)


def test_what_has_no_graph_is_refused(tmp_path: Path) -> None:
    log = synthetic(SyntheticConfig(users=30, items=12, topics=2, mean_length=5), seed=0).log
    Recommender("popularity").fit(log).save(tmp_path / "popular")
    with pytest.raises(RunError, match=r"popular: has no graph, since it is a baseline, .* Leave --onnx out\.$"):
        LoadedRun.load(tmp_path / "popular", onnx=True)


def test_without_its_packages_it_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "NEEDED", ("no_such_package",))
    monkeypatch.setattr(module, "run_module", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mltfr\[export\]'"):
        LoadedRun.load(RUNS / "bare", onnx=True)


def test_an_export_that_fails_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_module", lambda *_: Ended(2, "It does not answer as the run does. Try --format x"))
    with pytest.raises(RunError, match=r"for --onnx \(It does not answer as the run does\)\. Leave --onnx out\.$"):
        LoadedRun.load(RUNS / "bare", onnx=True)


def test_a_run_that_is_replaced_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(RUNS / "bare", tmp_path / "run")

    def load(folder: Path) -> FittedModel:
        fitted = load_artifact(folder)
        shutil.rmtree(folder)
        shutil.copytree(RUNS / "mltfr", folder)
        return fitted

    monkeypatch.setattr(loaded, "load_artifact", load)
    with pytest.raises(RunError, match=r"run: another run was written there while it was loaded\. Start again, or"):
        LoadedRun.load(tmp_path / "run")


@slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the process in /proc")
def test_an_export_ends_with_the_service_that_began_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mltfr", "serve", str(RUNS / "mltfr"), "--onnx", "--port", "0"]
    service = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL)
    while not (exports := _running(b"mltfr.export.job", bytes(tmp_path))):
        assert service.poll() is None
        sleep(0.05)
    service.terminate()
    service.wait()
    while any(Path("/proc", each).exists() for each in exports):
        sleep(0.05)
    assert list(tmp_path.glob("mltfr-*")) == []


def _running(*words: bytes) -> list[str]:
    """Return the processes in whose command lines all of these words stand."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            text = line.read_bytes()
            found += [line.parent.name] if all(word in text for word in words) else []
    return found
