"""Measure a service over HTTP: a fixed rate, several clients, memory, reloads; and fuzz its OpenAPI document.

    python benchmarks/serve.py RUN [--only rate clients memory reloads fuzz hey] [--rate 500] [--seconds 60]
                               [--requests 100000] [--examples 2000] [--out FILE.json]

The service is a process of its own on this machine. The client of `rate` sends by the clock, whether or not answers
have come, so that a stall counts for everybody who would have waited in it; latency is counted from the moment at which
a request was due. Every body is checked. What is written down names the machine and its load; where others work on it
too, the processor time of a request, of the service and of the client, says more than how long it took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

import numpy as np
import polars as pl

from harness.machine import load_average, machine

MEASURED = ("rate", "clients", "memory", "reloads", "fuzz", "hey")
CONNECTIONS = 64
K, LENGTH = 10, 20
REJECTED = "checks.negative_data_rejection.expected-statuses = [400, 401, 404, 405, 408, 409, 413, 415, 422, 429]"
"""Answers to requests that are not as the document says: what schemathesis expects, and 408 and 413."""
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


def measure_rate(given: argparse.Namespace, asked: list[bytes]) -> Any:
    """Return latencies at a fixed rate."""
    with service(given.run) as made:
        asyncio.run(open_loop(made, asked, min(50, given.rate), 2))
        with cpu_of(made, int(given.rate * given.seconds)) as spent:
            found = asyncio.run(open_loop(made, asked, given.rate, given.seconds))
    return {**found, **spent}


def measure_clients(given: argparse.Namespace, asked: list[bytes]) -> Any:
    """Return latencies and throughput of 1, 16 and 256 clients, with batches and without."""
    found = []
    for batch in ("64", "1"):
        with service(given.run, "--max-batch", batch) as made:
            asyncio.run(closed_loop(made, asked, 4, 200))
            for clients in (1, 16, 256):
                requests = max(4 * clients, min(5000, given.requests // 20))
                with cpu_of(made, requests) as spent:
                    measured = asyncio.run(closed_loop(made, asked, clients, requests))
                found.append({"max_batch": int(batch), **measured, **spent})
    return found


def measure_memory(given: argparse.Namespace, asked: list[bytes]) -> Any:
    """Return resident memory over many requests."""
    with service(given.run) as made:
        asyncio.run(closed_loop(made, asked, 16, max(100, given.requests // 10)))
        seen = [round(made.memory(), 1)]
        for _ in range(5):
            asyncio.run(closed_loop(made, asked, 16, given.requests // 5))
            seen.append(round(made.memory(), 1))
    return {"requests": given.requests, "resident_mb": seen, "grown_mb": round(seen[-1] - seen[0], 1)}


def measure_reloads(given: argparse.Namespace, asked: list[bytes]) -> Any:
    """Reload a copy of the run 20 times under load; every request must be answered."""
    with tempfile.TemporaryDirectory() as place:
        link = Path(place) / "run"
        link.symlink_to(given.run.resolve())
        manifest = json.loads((given.run / "manifest.json").read_text())
        with service(link) as made:

            async def both() -> dict[str, Any]:
                async def reload() -> None:
                    for number in range(20):
                        copy = Path(place) / f"run-{number}"
                        shutil.copytree(given.run, copy)
                        text = json.dumps(manifest, indent=2 + number % 5)  # another checksum, and the same run
                        (copy / "manifest.json").write_text(text)
                        fresh = Path(place) / "fresh"
                        fresh.symlink_to(copy)
                        fresh.rename(link)
                        made.process.send_signal(signal.SIGHUP)
                        await asyncio.sleep(given.seconds / 22)

                found, _ = await asyncio.gather(open_loop(made, asked, given.rate / 4, given.seconds), reload())
                return found

            found = asyncio.run(both())
            outcomes = [line["outcome"] for line in made.lines() if line["event"] == "reload"]
    return {**found, "outcomes": {name: outcomes.count(name) for name in set(outcomes)}}


def fuzz(given: argparse.Namespace, asked: list[bytes]) -> Any:
    """Let schemathesis make requests from the OpenAPI document, all checks, with a key and without."""
    found = {}
    (config := Path(tempfile.mkdtemp()) / "schemathesis.toml").write_text(REJECTED)
    for name, key in (("open", None), ("key", "the-key-of-the-fuzz")):
        how = ["-H", f"X-API-Key: {key}"] if key else []
        if key:
            os.environ["MLTFR_API_KEY"] = key
        try:
            with service(given.run, "--timeout", "60") as made:
                command = ["schemathesis", "--config-file", str(config), "run", f"{made.url}/openapi.json",
                           "--no-color", "--checks", "all", "--max-examples", str(given.examples), *how]  # fmt: skip
                done = subprocess.run(command, capture_output=True, text=True)
                found[name] = {"exit_code": done.returncode, "summary": done.stdout.splitlines()[-25:]}
                print(done.stdout if done.returncode else "")
        finally:
            os.environ.pop("MLTFR_API_KEY", None)
    return found


def hey(given: argparse.Namespace, asked: list[bytes]) -> Any:
    """Return what `hey` (Debian) measures at the same rate."""
    if shutil.which("hey") is None:
        return "hey is not installed (apt-get install hey)"
    with service(given.run) as made:
        each = given.rate / CONNECTIONS
        command = ["hey", "-z", f"{given.seconds:g}s", "-c", str(CONNECTIONS), "-q", f"{each:g}", "-m", "POST", "-T",
                   "application/json", "-d", asked[0].decode(), f"{made.url}/v1/recommend"]  # fmt: skip
        text = subprocess.run(command, capture_output=True, text=True).stdout
    return [line.strip() for line in text.splitlines() if "% in" in line or "Requests/sec" in line or "[" in line[:4]]


def main() -> int:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=MEASURED)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    how: dict[str, Callable[[argparse.Namespace, list[bytes]], Any]] = {
        "rate": measure_rate, "clients": measure_clients, "memory": measure_memory, "reloads": measure_reloads,
        "fuzz": fuzz, "hey": hey,
    }  # fmt: skip
    asked, found = bodies(given.run), {"machine": machine(), "load_before": load_average()}
    for name in given.only:
        found[name] = how[name](given, asked)
        print(name, json.dumps(found[name], indent=2))
    if given.out is not None:
        given.out.write_text(json.dumps({**found, "load_after": load_average()}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
