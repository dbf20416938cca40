"""Another run takes over while requests are answered, and only where it is what it says."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import pytest

from mltfr.errors import RunError
from mltfr.inference.eight_bit import EightBitVectors
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.reload import Reloader
from mltfr.serve.trial import try_run
from mltfr.storage.files import sha256
from mltfr.storage.folder import MANIFEST
from mltfr.storage.sealed import sealed
from support.service import RUNS, Client, client_of

RELOADS = 20
HISTORY = ["i3", "i9", "i4"]


def put(name: str, link: Path) -> None:
    """Let a link lead to a run, in one step."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(RUNS / name)
    fresh.rename(link)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put("bare", tmp_path / "run")
    return tmp_path / "run"


def test_a_run_that_may_not_be_read_is_no_traceback(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path / MANIFEST))

    monkeypatch.setattr("mltfr.serve.loaded.run_fingerprint", refuse)
    with pytest.raises(RunError, match=r"manifest\.json: cannot be read .* Check the disk and the permissions"):
        LoadedRun.load(folder)
    (folder.parent / "loop").symlink_to(folder.parent / "loop")
    with pytest.raises(RunError, match="loop: no such folder"):
        LoadedRun.load(folder.parent / "loop")


def outcomes(client) -> dict[str, float]:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("mltfr_reloads_total{")]
    return {line.partition('outcome="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_runs_change_under_load_and_nothing_is_lost(folder: Path) -> None:
    runs = {}
    for name in ("bare", "mltfr"):
        run = LoadedRun.load(RUNS / name)
        with client_of(run) as client:
            items = client.recommend(histories=[HISTORY], k=5)["results"][0]["items"]
            runs[run.fingerprint] = [each["score"] for each in items]
    with client_of(LoadedRun.load(folder)) as client:
        reloader, stop, seen = Reloader(client.service, folder), Event(), []

        def ask() -> None:
            while not stop.is_set():
                answers = client.together([("POST", "/v1/recommend", {"json": {"histories": [HISTORY], "k": 5}})] * 8)
                for answer in answers:
                    assert answer.status_code == 200
                    document = answer.json()
                    scores = [each["score"] for each in document["results"][0]["items"]]
                    assert scores == pytest.approx(runs[document["run"]], abs=1e-4)
                    seen.append(document["run"])

        failures: list[BaseException] = []

        def guarded() -> None:
            try:
                ask()
            except BaseException as error:
                failures.append(error)

        asking = Thread(target=guarded)
        asking.start()
        for number in range(RELOADS):
            put("mltfr" if number % 2 == 0 else "bare", folder)
            assert reloader.reload() == "switched"
        stop.set()
        asking.join()
        assert not failures
        assert set(seen) == set(runs)
        assert outcomes(client) == {"switched": RELOADS}
        assert reloader.reload() == "unchanged"


def test_a_damaged_run_is_refused(tmp_path: Path, folder: Path) -> None:
    with client_of(LoadedRun.load(folder)) as client:
        reloader = Reloader(client.service, folder)
        before = client.service.run
        damaged = tmp_path / "damaged"
        shutil.copytree(RUNS / "mltfr", damaged)
        weights = bytearray((damaged / "weights.safetensors").read_bytes())
        weights[-5] ^= 1
        (damaged / "weights.safetensors").write_bytes(weights)
        folder.unlink()
        folder.symlink_to(damaged)
        assert reloader.reload() == "refused"
        folder.unlink()
        assert reloader.reload() == "refused"
        assert client.service.run is before
        assert client.recommend(histories=[HISTORY])["run"] == before.fingerprint
        assert outcomes(client) == {"refused": 2}


def test_a_run_that_does_not_score_as_it_says_is_refused(tmp_path: Path, folder: Path) -> None:
    lying = tmp_path / "lying"
    shutil.copytree(RUNS / "mltfr", lying)
    metrics = json.loads((lying / "metrics.json").read_text())
    metrics["metrics"]["ndcg@10"] += 0.1
    (lying / "metrics.json").write_text(json.dumps(metrics))
    manifest = json.loads((lying / MANIFEST).read_text())
    manifest["files"]["metrics.json"] = sha256(lying / "metrics.json")
    manifest.pop("manifest", None)
    files = manifest.pop("files")
    (lying / MANIFEST).write_text(json.dumps(sealed({**manifest, "files": files})))
    with client_of(LoadedRun.load(folder)) as client:
        reloader = Reloader(client.service, folder)
        folder.unlink()
        folder.symlink_to(lying)
        assert reloader.reload() == "refused"
        assert outcomes(client) == {"refused": 1}


def test_a_trial_scores_as_the_run_says(run) -> None:
    passed = try_run(run)
    assert passed.examples == 60
    assert passed.scores["ndcg@10"] == pytest.approx(run.fitted.metrics["metrics"]["ndcg@10"], abs=1e-6)


def test_a_large_run_is_tried_by_a_sample(run, monkeypatch) -> None:
    monkeypatch.setattr("mltfr.serve.trial.MOST", 20)
    assert try_run(run).examples == 20


def until_it_serves(client: Client, name: str) -> None:
    """Wait until a service answers with a run, for some seconds at most."""
    expected, until = LoadedRun.load(RUNS / name).fingerprint, monotonic() + 20
    while client.service.run.fingerprint != expected and monotonic() < until:
        sleep(0.02)
    assert client.service.run.fingerprint == expected


@pytest.fixture
def watched(folder: Path) -> Iterator[Client]:
    with client_of(LoadedRun.load(folder)) as client:
        reloader = Reloader(client.service, folder)
        reloader.watch(0.02)
        sleep(0.1)
        yield client
        reloader.stop()


def test_a_folder_is_watched(folder: Path, watched: Client) -> None:
    put("mltfr", folder)
    until_it_serves(watched, "mltfr")
    sleep(0.1)
    assert outcomes(watched) == {"switched": 1}


def test_a_run_that_is_copied_manifest_first_is_taken_when_it_is_whole(folder: Path, watched: Client) -> None:
    folder.unlink()
    folder.mkdir()
    rest = [path for path in (RUNS / "mltfr").iterdir() if path.name != MANIFEST]
    shutil.copy(RUNS / "mltfr" / MANIFEST, folder)
    until = monotonic() + 20
    while not outcomes(watched) and monotonic() < until:
        sleep(0.02)
    assert outcomes(watched) == {"refused": 1}
    for path in rest:
        shutil.copy(path, folder)
    until_it_serves(watched, "mltfr")


def test_a_run_that_comes_while_the_first_one_is_made_ready_is_taken(folder: Path) -> None:
    run = LoadedRun.load(folder)
    put("mltfr", folder)
    with client_of(run) as client:
        reloader = Reloader(client.service, folder)
        reloader.watch(0.02)
        until_it_serves(client, "mltfr")
        reloader.stop()


def test_a_run_keeps_its_name_when_the_link_leads_elsewhere(folder: Path) -> None:
    with client_of(LoadedRun.load(folder)) as client:
        put("mltfr", folder)
        assert client.get("/v1/info").json()["name"] == "bare"


def test_a_run_is_warm_before_it_answers(monkeypatch) -> None:
    monkeypatch.setattr("mltfr.inference.eight_bit.MIN_ITEMS", 1)
    made = []
    of = EightBitVectors.of
    monkeypatch.setattr(EightBitVectors, "of", lambda vectors: made.append(len(vectors)) or of(vectors))
    run = LoadedRun.load(RUNS / "bare")
    run.warm_up()
    assert made == [26]  # the items and the padding
