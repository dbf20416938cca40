"""`mltfr serve` as a process: where it listens, how it reloads, and how it ends."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from mltfr.errors import OutputError
from mltfr.serve.app import make_app
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.server import bind, serve
from mltfr.serve.service import Service
from support.command_line import COMMAND, run
from support.service import KEY, RUNS, client_of

ASKED = {"histories": [["i3", "i9"]], "k": 3}
IDLE = 1000


class Process:
    """A service in a process of its own, whose log is read as it comes."""

    def __init__(self, *arguments: str | Path, **variables: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
        command = [*COMMAND, "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines: list[dict] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.url = self.event("listening")["url"]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line))

    def event(self, name: str, seconds: float = 90) -> dict:
        until = monotonic() + seconds
        while monotonic() < until and self.process.poll() is None:
            if found := [line for line in self.lines if line["event"] == name]:
                return found[-1]
            sleep(0.02)
        raise AssertionError(f"no {name}: {self.lines[-5:]}")


@contextmanager
def service(*arguments: str | Path, **variables: str) -> Iterator[Process]:
    process = Process(*arguments, **variables)
    try:
        yield process
    finally:
        process.process.kill()
        process.process.wait()


def link(name: str, path: Path) -> Path:
    fresh = path.with_name("fresh")
    fresh.symlink_to(RUNS / name)
    fresh.rename(path)
    return path


@pytest.mark.slow
def test_reload_and_drain_under_load(tmp_path: Path) -> None:
    """SIGHUP changes the run, SIGTERM ends it: no request is lost, and readiness fails while requests are answered."""
    folder = link("bare", tmp_path / "run")
    with service(folder, "--drain", "3", MLTFR_API_KEY=KEY) as process:
        lost, runs, answered_unready, stop = [], set(), [], threading.Event()

        def ask() -> None:
            """Ask until the service is not ready, and a few times more, as whoever shares requests out does."""
            left = 5
            with httpx.Client(base_url=process.url, headers={"x-api-key": KEY}, timeout=30) as http:
                while left and not stop.is_set():
                    try:
                        ready = http.get("/health/ready").status_code
                        answer = http.post("/v1/recommend", json=ASKED)
                    except httpx.HTTPError as error:
                        lost.append(error)
                        return
                    if answer.status_code != 200:
                        lost.append(answer.text)
                    runs.add(answer.json()["run"])
                    if ready == 503:
                        answered_unready.append(answer.status_code)
                        left -= 1

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        until = monotonic() + 30
        while not runs and monotonic() < until:  # the old run has answered
            sleep(0.01)
        link("mltfr", folder)
        process.process.send_signal(signal.SIGHUP)
        assert process.event("reload")["outcome"] == "switched"
        until = monotonic() + 30
        while len(runs) < 2 and monotonic() < until:  # the new run has answered
            sleep(0.01)
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(60) == 0
        stop.set()
        for thread in asking:
            thread.join()
        assert not lost
        assert len(runs) == 2
        assert len(answered_unready) == 5 * len(asking)
        assert process.lines[-1]["event"] == "stopped"
        assert KEY not in json.dumps(process.lines)


@pytest.fixture
def idle_connections() -> Iterator[int]:
    """Let this process have a thousand connections, or half of what the system allows; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * IDLE if hard == resource.RLIM_INFINITY else min(2 * IDLE, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield wanted // 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def assert_lively(url: str) -> None:
    """Check that `/health/live` answers, and waits for nobody: the others say nothing for minutes."""
    assert httpx.get(f"{url}/health/live", timeout=30).status_code == 200


@pytest.mark.slow
def test_idle_and_slow_connections_harm_nobody(idle_connections: int) -> None:
    """A thousand connections without a request, and Ctrl-C with them open: `/health/live` answers, the end is soon."""
    with service(RUNS / "bare", "--drain", "0") as process:
        host, port = process.url.removeprefix("http://").split(":")
        idle = [socket.create_connection((host, int(port))) for _ in range(idle_connections)]
        slow = socket.create_connection((host, int(port)))
        slow.sendall(b"POST /v1/recommend HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 100\r\n\r\n{")  # fmt: skip
        assert_lively(process.url)
        assert httpx.post(process.url + "/v1/recommend", json=ASKED, timeout=30).status_code == 200
        early = httpx.post(process.url + "/v1/recommend", content=b"x" * (1 << 22), timeout=30,
                           headers={"content-type": "application/json"})  # fmt: skip
        assert early.status_code == 413
        assert_lively(process.url)
        slow.close()
        begun = monotonic()
        process.process.send_signal(signal.SIGINT)
        assert process.process.wait(30) == 0
        assert monotonic() - begun < 25
        for connection in idle:
            connection.close()


def test_without_its_inference_thread_the_service_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that dies takes the process with it, so that it is started again; until then nothing says ready."""
    dies, heard = threading.Event(), []
    monkeypatch.setattr(Service, "_work", lambda self: dies.wait(60))
    with client_of(LoadedRun.load(RUNS / "bare"), start=False) as client:

        def ask() -> None:
            while not client.service.alive:
                sleep(0.01)
            dies.set()
            while client.service.alive:
                sleep(0.01)
            heard.extend(client.get(path).status_code for path in ("/health/ready", "/health/live"))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        begun = monotonic()
        with pytest.raises(OutputError, match="inference thread has ended"):
            serve(make_app(client.service), client.service, bind("127.0.0.1", 0))
        asking.join(20)
        assert monotonic() - begun < 20
        assert heard == [503, 503]


def test_what_cannot_be_served_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLTFR_API_KEY", raising=False)
    for arguments, words in (
        (["--host", "0.0.0.0"], "--no-key"),
        (["--host", "::"], "--api-key-file"),
        (["--host", "999.1.1.1", "--no-key"], "--host"),
        (["--api-key-file", tmp_path / "nothing"], "one API key a line"),
        (["--check", "--host", "0.0.0.0"], "--no-key"),
        (["--check", "--cors", "https://shop.example/"], "--cors"),
        (["--check", "--api-key-file", tmp_path / "nothing"], "one API key a line"),
        *(([option, "inf"], f"'{option}': inf is no number") for option in ("--timeout", "--rate", "--drain")),
        (["--grace", "inf"], "Give a finite one"),
        (["--timeout", "nan"], "--timeout"),
    ):
        done = run("serve", RUNS / "bare", *arguments, check=False)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert words in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", RUNS / "bare", "--port", str(taken.getsockname()[1]), check=False)
        assert (done.returncode, "--port" in done.stderr) == (2, True)
    done = run("serve", tmp_path / "nothing", "--port", "0", check=False)
    assert (done.returncode, "no such folder" in done.stderr) == (2, True)


def test_a_run_is_checked(tmp_path: Path) -> None:
    done = run("serve", RUNS / "bare", "--check")
    assert "60 held-out examples score as saved" in done.stdout
    done = run("serve", tmp_path, "--check", check=False)
    assert (done.returncode, "not a run folder" in done.stderr) == (2, True)


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    done = run("serve", RUNS / "bare", check=False)
    assert (done.returncode, "pip install 'mltfr[serve]'" in done.stderr) == (2, True)
