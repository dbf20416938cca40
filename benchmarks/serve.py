"""Measure a service over HTTP: a fixed rate, several clients, memory, reloads; and fuzz its OpenAPI document.

    python benchmarks/serve.py RUN [--only rate clients memory reloads fuzz hey] [--rate 500] [--seconds 60]
                               [--requests 100000] [--examples 2000] [--onnx] [--out FILE.json]

The service is a process of its own on this machine. The client of `rate` sends by the clock, whether or not answers
have come, so that a stall counts for everybody who would have waited in it; latency is counted from the moment at which
a request was due. Every body is checked. What is written down names the machine and its load; where others work on it
too, the processor time of a request, of the service and of the client, says more than how long it took. The share of
time that the host took from this machine meanwhile stands beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

from harness.machine import load_average, machine
from harness.service import bodies, closed_loop, cpu_of, open_loop, percentiles, service, steal_time

HEYS = 4
"""Processes of `hey` that ask together."""
MEASURED = ("rate", "clients", "memory", "reloads", "fuzz", "hey")
REJECTED = "checks.negative_data_rejection.expected-statuses = [400, 401, 404, 405, 408, 409, 413, 415, 422, 429]"
"""Answers to requests that are not as the document says: what schemathesis expects, and 408 and 413."""


def measure_rate(given: argparse.Namespace, asked: list[bytes]) -> Any:
    """Return latencies at a fixed rate."""
    with service(given.run, *given.options) as made:
        asyncio.run(open_loop(made, asked, min(50, given.rate), 2))
        with cpu_of(made, int(given.rate * given.seconds)) as spent, steal_time() as stolen:
            found = asyncio.run(open_loop(made, asked, given.rate, given.seconds))
    return {**found, **spent, **stolen}


def measure_clients(given: argparse.Namespace, asked: list[bytes]) -> Any:
    """Return latencies and throughput of 1, 16 and 256 clients, with batches and without."""
    found = []
    for batch in ("64", "1"):
        with service(given.run, "--max-batch", batch, *given.options) as made:
            asyncio.run(closed_loop(made, asked, 4, 200))
            for clients in (1, 16, 256):
                requests = max(4 * clients, min(5000, given.requests // 20))
                with cpu_of(made, requests) as spent:
                    measured = asyncio.run(closed_loop(made, asked, clients, requests))
                found.append({"max_batch": int(batch), **measured, **spent})
    return found


def measure_memory(given: argparse.Namespace, asked: list[bytes]) -> Any:
    """Return resident memory over many requests."""
    with service(given.run, *given.options) as made:
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
        with service(link, *given.options) as made:

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
            with service(given.run, "--timeout", "60", *given.options) as made:
                command = ["schemathesis", "--config-file", str(config), "run", f"{made.url}/openapi.json",
                           "--no-color", "--checks", "all", "--max-examples", str(given.examples), *how]  # fmt: skip
                done = subprocess.run(command, capture_output=True, text=True)
                found[name] = {"exit_code": done.returncode, "summary": done.stdout.splitlines()[-25:]}
                print(done.stdout if done.returncode else "")
        finally:
            os.environ.pop("MLTFR_API_KEY", None)
    return found


def hey(given: argparse.Namespace, asked: list[bytes]) -> Any:
    """Return what `hey` (Debian) and the client of `rate` measure in the same minute, each with half of the requests.

    The connections of one `hey` send in step, all at once; so there are several, each with one connection, which begin
    one after the other.
    """
    if shutil.which("hey") is None:
        return "hey is not installed (apt-get install hey)"
    half = given.rate / 2
    command = ["hey", "-z", f"{given.seconds:g}s", "-c", "1", "-q", f"{half / HEYS:g}", "-cpus", "1", "-o", "csv",
               "-m", "POST", "-T", "application/json", "-d"]  # fmt: skip
    with service(given.run, *given.options) as made:
        asyncio.run(open_loop(made, asked, min(50, given.rate), 2))
        running = []
        with steal_time() as stolen:
            for number in range(HEYS):
                words = [*command, asked[number].decode(), f"{made.url}/v1/recommend"]
                running.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
                sleep(1 / half)
            found = asyncio.run(open_loop(made, asked, half, given.seconds))
        rows = [row for process in running for row in csv.DictReader(process.communicate()[0].splitlines())]
    seconds = [float(row["response-time"]) for row in rows if row["status-code"] == "200"]
    of_hey = {"processes": HEYS, "sent": len(rows), "lost": len(rows) - len(seconds), **percentiles(seconds),
              "answered_per_second": round(len(seconds) / given.seconds, 1)}  # fmt: skip
    return {"hey": of_hey, "by the clock": found, **stolen}


def main() -> int:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=MEASURED)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--onnx", dest="options", action="store_const", const=["--onnx"], default=[])
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
