"""Threads that share one process: what each gets is what it would get alone."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from mltfr import Recommender
from mltfr.errors import RunError
from mltfr.inference import ModelScorer, Retriever, Rules, eight_bit, index
from mltfr.inference.eight_bit import CALLS_BEFORE, EightBitVectors
from mltfr.inference.index import ItemIndex
from mltfr.interactions import InteractionLog
from mltfr.kernels import products
from mltfr.storage.progress import Progress
from mltfr.training import Callback
from mltfr.training.training_lock import training_lock
from support.networks import Network
from support.walks import as_log, rows, walks
from test_recommender import MLTFR, TABLES, put_tables

THREADS = 8


@pytest.fixture(autouse=True)
def _impatient(_own_home: None) -> Iterator[None]:
    """Let threads take turns as often as they can."""
    put_tables()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Return what calls return that begin together, each in a thread."""
    barrier = threading.Barrier(len(calls))

    def begin(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(begin, call) for call in calls]]


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return as_log(rows(walks(users=50, items=30, shortest=4, longest=9)))


def fit(log: InteractionLog, callback: Callback | None = None) -> Recommender:
    settings = (*MLTFR, "training.learning_rate=0.01")
    return Recommender(tokens=TABLES, settings=settings, epochs=3).fit(log, callback=callback or Callback())


@pytest.fixture(scope="module")
def fitted(log: InteractionLog, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLTFR_HOME", str(tmp_path_factory.getbasetemp() / "mltfr-home"))
        put_tables()
        return fit(log)


def assert_same(found: Any, alone: Any) -> None:
    if isinstance(alone, pl.DataFrame):  # last bits may differ where threads share torch's choice of a library
        assert_frame_equal(found, alone, check_exact=False, rel_tol=1e-5)
    else:
        assert found == pytest.approx(alone)


def test_every_call_gives_what_it_gives_alone(fitted: Recommender) -> None:
    pytest.importorskip("faiss")
    histories = {"a": ["i1", "i2"], "b": ["i7"]}
    calls: list[Callable[[], Any]] = [
        lambda: dict(fitted.evaluate(zero_branch=True).metrics),
        lambda: dict(fitted.evaluate("validation").metrics),
        lambda: fitted.recommend(k=5),
        lambda: fitted.recommend(histories=histories, k=7, include_seen=True),
        lambda: fitted.recommend(users=["u3"], k=4, deny=["i5"], index="dense"),
        lambda: fitted.recommend(k=3, index="ivf"),
        lambda: fitted.similar_items("i4", k=6),
        lambda: fitted.index_report(k=5).recall,
    ]
    expected = [call() for call in calls]
    assert expected[0] != pytest.approx(dict(fitted.evaluate().metrics))  # the zero branch is another one
    copied = copy.deepcopy(fitted)  # in which nothing is made yet
    for number in range(6):
        asked = fitted if number % 2 else copied
        for call, wanted in zip(at_once([*calls, *calls]), [*expected, *expected], strict=True):
            assert_same(call, wanted)
        assert asked.fitted.model is not None


def test_a_recommender_can_be_copied_and_pickled(fitted: Recommender) -> None:
    wanted = fitted.recommend(k=5)
    for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert other.recommend(k=5).equals(wanted)


def test_threads_without_the_fusion_leave_the_others_alone(fitted: Recommender) -> None:
    data, histories = fitted.fitted, list(fitted.fitted.split.histories)
    with_fusion, without = data.scorer(), data.zero_branch()
    assert without is not None
    expected = [scorer.scores(scorer.queries(histories), 1, scorer.items + 1) for scorer in (with_fusion, without)]
    assert not torch.allclose(*expected)

    def work(number: int) -> None:
        scorer = (with_fusion, without)[number % 2]
        for _ in range(4):
            scores = scorer.scores(scorer.queries(histories), 1, scorer.items + 1)
            torch.testing.assert_close(scores, expected[number % 2])

    at_once([partial(work, number) for number in range(THREADS)])


def test_nobody_is_served_without_the_fusion_while_another_evaluates_without_it(fitted: Recommender) -> None:
    wanted, lists = fitted.recommend(k=5), []

    class Meanwhile(Progress):
        """Asks for lists in another thread whenever an evaluation has come a step further."""

        def advance(self, steps: int = 1) -> None:
            with ThreadPoolExecutor(1) as pool:
                lists.append(pool.submit(fitted.recommend, k=5).result())

    fitted.evaluate(zero_branch=True, progress=Meanwhile())
    assert lists
    for found in lists:
        assert_same(found, wanted)


def test_threads_in_the_midst_of_scoring_each_keep_their_own_branch(fitted: Recommender) -> None:
    model: Any = copy.deepcopy(fitted).fitted.model
    histories, scorers = list(fitted.fitted.split.histories), (model.scorer(), model.zero_branch())
    expected = [scorer.queries(histories) for scorer in scorers]
    assert not torch.allclose(*expected)
    both = threading.Barrier(2)

    def wait(*given: Any) -> None:  # until the other thread has begun as well, whichever came first
        both.wait(60)

    model.item_embedding.register_forward_pre_hook(wait)
    found = at_once([partial(scorer.queries, histories) for scorer in scorers])
    torch.testing.assert_close(found, expected)


def test_scoring_changes_nothing_on_the_model(fitted: Recommender) -> None:
    model = fitted.fitted.model
    before = {name: dict(module.__dict__) for name, module in model.named_modules()}  # type: ignore[attr-defined]
    fitted.recommend(k=3)
    fitted.evaluate(zero_branch=True)
    after = {name: dict(module.__dict__) for name, module in model.named_modules()}  # type: ignore[attr-defined]
    for name, attributes in before.items():
        assert attributes.keys() == after[name].keys()
        assert [key for key, value in attributes.items() if after[name][key] is not value] == []


def test_what_a_request_needs_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(eight_bit, "MIN_ITEMS", 100)
    network = Network(torch.randn(3001, 16, generator=torch.Generator().manual_seed(0)))
    made: list[str] = []

    def slowly(what: str, make: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            made.append(what)
            time.sleep(0.05)
            return make(*arguments)

        return wrapped

    monkeypatch.setattr(EightBitVectors, "of", slowly("8 bits", EightBitVectors.of))
    monkeypatch.setattr(ItemIndex, "build", slowly("index", ItemIndex.build))
    retriever = Retriever(slowly("scorer", lambda: ModelScorer(network)), tmp_path)
    history = [np.array([5, 9], np.int32)]
    for _ in range(CALLS_BEFORE):
        found = at_once([partial(retriever.top_k, history, 5, Rules(), kind) for kind in ("exact", "ivf") * 4])
        assert len({tuple(each.codes[0].tolist()) for each in found[::2]}) == 1
        assert len({tuple(each.codes[0].tolist()) for each in found[1::2]}) == 1
    assert sorted(made) == ["8 bits", "index", "scorer"]
    assert (tmp_path / index.INDEX).is_file()


class Meanwhile(Callback):
    """Does something else in another thread at the end of every epoch, and while the next one trains."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.pool, self.work, self.done = ThreadPoolExecutor(2), work, []

    def on_epoch_end(self, record: Any) -> None:
        self.done += [self.pool.submit(self.work), self.pool.submit(self.work)]

    def results(self) -> list[Any]:
        self.pool.shutdown()
        return [each.result() for each in self.done]


def test_a_fit_beside_requests_and_loads(log: InteractionLog, fitted: Recommender, tmp_path: Path) -> None:
    fitted.save(tmp_path / "run")
    wanted = fitted.recommend(k=5)
    meanwhile = Meanwhile(lambda: (fitted.recommend(k=5), Recommender.load(tmp_path / "run").recommend(k=5)))
    again = fit(log, meanwhile)
    for pair in meanwhile.results():
        for found in pair:
            assert_same(found, wanted)
    assert_same(again.recommend(k=5), wanted)
    assert again.metrics["metrics"] == pytest.approx(fitted.metrics["metrics"])


def test_requests_see_one_model_while_it_is_fitted_again(log: InteractionLog, tmp_path: Path) -> None:
    recommender = fit(log)
    before = recommender.recommend(k=5)
    meanwhile = Meanwhile(lambda: recommender.recommend(k=5))
    recommender.fit(as_log(rows(walks(users=30, items=12, seed=1))), tmp_path / "run", callback=meanwhile)
    for found in meanwhile.results()[:4]:
        assert_same(found, before)
    assert recommender.recommend()["item_id"].n_unique() == 12


def test_a_second_training_is_refused(log: InteractionLog, tmp_path: Path) -> None:
    with training_lock(), ThreadPoolExecutor(1) as pool:
        with pytest.raises(RunError, match=r"Another thread of this process is training.*in a process of its own"):
            pool.submit(fit, log).result()
        popular = pool.submit(lambda: Recommender("popularity").fit(log, callback=Callback())).result()
        assert len(popular.recommend(k=1)) == 50  # a baseline draws nothing
    with pytest.raises(ZeroDivisionError), training_lock():
        raise ZeroDivisionError
    with training_lock():
        pass


def test_the_choice_of_a_library_is_looked_at_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = products._setting()
    if setting is None:
        pytest.skip("this torch has no such setting")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    plain, delays = torch.Tensor.__matmul__, iter([0.0, 0.2, 0.0, 0.4] * 2)

    def slow(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        time.sleep(next(delays, 0.0))
        return plain(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", slow)
    before = setting.fp32_precision
    at_once([products._helps.__wrapped__, products._helps.__wrapped__])
    assert setting.fp32_precision == before
