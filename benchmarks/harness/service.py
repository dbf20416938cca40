"""A service in a process of its own, and clients that ask it: by the clock, or as soon as the last answer has come."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

import numpy as np
import polars as pl

CONNECTIONS = 64
K, LENGTH = 10, 20
STEAL = 7
"""Place of the steal time among the times in `/proc/stat`."""
SERVE = [sys.executable, "-c", "from mltfr.cli.main import main; main()", "serve"]


class Service:
    """A service in a process of its own.

    Args:
        run: the run folder.
        options: further options of `mltfr serve`.
    """

    def __init__(self, run: Path, *options: str) -> None:
        self.log = tempfile.NamedTemporaryFile("w+")  # noqa: SIM115
        command = [*SERVE, str(run), "--port", "0", "--log-level", "info", *options]
        self.process = subprocess.Popen(command, stderr=self.log)
        while (listening := self.event("listening")) is None:
            sleep(0.05)
            if self.process.poll() is not None:
                raise SystemExit(f"The service ended: {self.lines()[-3:]}")
        self.url: str = listening["url"]
        self.host, _, port = self.url.removeprefix("http://").rpartition(":")
        self.port = int(port)

    def lines(self) -> list[dict[str, Any]]:
        """Return its log."""
        return [json.loads(line) for line in Path(self.log.name).read_text().splitlines() if line.endswith("}")]

    def event(self, name: str) -> dict[str, Any] | None:
        """Return the last line of an event."""
        return next((line for line in reversed(self.lines()) if line["event"] == name), None)

    def cpu(self) -> float:
        """Return the processor time of all its threads in milliseconds."""
        used = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return 1000 * sum(map(int, used)) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return its resident memory in MB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def service(run: Path, *options: str) -> Iterator[Service]:
    """Yield a service that ends with the context, by SIGTERM."""
    made = Service(run, *options)
    try:
        yield made
    finally:
        made.process.send_signal(signal.SIGTERM)
        code = made.process.wait(60)
        if code != 0:
            print(f"the service ended with exit code {code}")


def bodies(run: Path, count: int = 2000) -> list[bytes]:
    """Return requests of one random history each, of items of the run."""
    items, chance = pl.read_parquet(run / "items.parquet")["item_id"].to_list(), random.Random(0)
    return [json.dumps({"histories": [chance.choices(items, k=LENGTH)], "k": K}).encode() for _ in range(count)]


@contextmanager
def cpu_of(made: Service, requests: int) -> Iterator[dict[str, float]]:
    """Yield what takes the processor time of the service and of this process inside, in milliseconds a request."""
    spent: dict[str, float] = {}
    service, client = made.cpu(), 1000 * process_time()
    yield spent
    spent["service_cpu_ms"] = round((made.cpu() - service) / requests, 3)
    spent["client_cpu_ms"] = round((1000 * process_time() - client) / requests, 3)


@contextmanager
def steal_time() -> Iterator[dict[str, float]]:
    """Yield what takes the percentage of the time of all cores that the host gave to other machines meanwhile."""
    stolen: dict[str, float] = {}
    before = _clock_ticks()
    yield stolen
    passed = [after - each for after, each in zip(_clock_ticks(), before, strict=True)]
    stolen["stolen_percent"] = round(100 * passed[STEAL] / max(1, sum(passed)), 1)


def _clock_ticks() -> list[int]:
    """Return what all cores have spent their time on, as the system counts it (proc_stat(5)); guests are users."""
    return [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


class Connection:
    """One keep-alive connection."""

    def __init__(self, host: str, port: int) -> None:
        self.head = (f"POST /v1/recommend HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
                     "Content-Length: {}\r\n\r\n")  # fmt: skip
        self.host, self.port = host, port

    async def open(self) -> Connection:
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        return self

    async def ask(self, body: bytes) -> dict[str, Any] | None:
        """Return the answer, checked; None where there is none, or a wrong one."""
        try:
            self.writer.write(self.head.format(len(body)).encode() + body)
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            document = json.loads(await self.reader.readexactly(length))
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return None
        items = document["results"][0]["items"] if head.startswith(b"HTTP/1.1 200") else []
        good = [each["rank"] for each in items] == list(range(1, len(items) + 1)) and len(items) > 0
        scores = [each["score"] for each in items]
        return document if good and scores == sorted(scores, reverse=True) else None


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return latencies in milliseconds."""
    values = np.percentile(np.array(seconds) * 1000, [50, 90, 99, 99.9])
    return {name: round(float(value), 2) for name, value in zip(("p50", "p90", "p99", "p99.9"), values, strict=True)}


async def open_loop(made: Service, asked: list[bytes], rate: float, seconds: float) -> dict[str, Any]:
    """Send requests by the clock over free connections, and count latency from when each was due."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await Connection(made.host, made.port).open())
    latencies: list[float] = []
    lost = 0

    async def one(due: float, body: bytes) -> None:
        nonlocal lost
        connection = await free.get()
        if await connection.ask(body) is None:
            lost += 1
            connection = await Connection(made.host, made.port).open()
        else:
            latencies.append(perf_counter() - due)
        free.put_nowait(connection)

    begun, tasks = perf_counter(), set()
    for number in range(int(rate * seconds)):
        due = begun + number / rate
        while (left := due - perf_counter()) > 0:
            await asyncio.sleep(left)
        task = asyncio.ensure_future(one(due, asked[number % len(asked)]))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    took = perf_counter() - begun
    return {"rate": rate, "seconds": seconds, "sent": int(rate * seconds), "lost": lost, **percentiles(latencies),
            "answered_per_second": round(len(latencies) / took, 1)}  # fmt: skip


async def closed_loop(made: Service, asked: list[bytes], clients: int, requests: int) -> dict[str, Any]:
    """Let clients ask one after the other, each as soon as it has its answer."""
    latencies: list[float] = []
    lost = 0
    left = iter(range(requests))

    async def client() -> None:
        nonlocal lost
        connection = await Connection(made.host, made.port).open()
        for number in left:
            begun = perf_counter()
            if await connection.ask(asked[number % len(asked)]) is None:
                lost += 1
                connection = await Connection(made.host, made.port).open()
            latencies.append(perf_counter() - begun)

    begun = perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    took = perf_counter() - begun
    return {"clients": clients, "requests": requests, "lost": lost, **percentiles(latencies),
            "per_second": round(requests / took, 1)}  # fmt: skip
