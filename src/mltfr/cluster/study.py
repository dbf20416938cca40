"""A study on a Ray cluster: each run is a task, in the same process as on one machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from mltfr.cluster.connection import connected, require_shared
from mltfr.cluster.status import POLL, start_status_actor, stop_on_request
from mltfr.errors import ConfigError
from mltfr.storage.child import Ended
from mltfr.study import Outcome, run_study
from mltfr.study.config import load_study
from mltfr.study.job import CRASHED
from mltfr.study.launch import Launch, launch

MAX_RETRIES = 3
"""Times that a task is started again whose worker was lost; its run continues from its checkpoint."""


def study_with_ray(
    file: Path, out: Path, workers: int | None, address: str | None = None, *, stop: Event | None = None, **more: Any
) -> Outcome:
    """Run a study as `run_study` does, each cell as a task; the files are the same.

    Args:
        file: the study file.
        out: the study folder, like the data on storage that all nodes share.
        workers: cells at once; as many as the cluster's processors allow if not given.
        address: of the cluster; None for a local one.
        stop: when set, the cells at work write checkpoints, and nothing new begins.
        more: further arguments of `run_study`.

    Raises:
        MltfrError: whatever `run_study` raises; or there is no cluster.
    """
    threads = load_study(file, more.get("data"), more.get("names")).threads
    with connected(address, (workers or 1) * threads):
        import ray

        at_once = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        return run_study(file, out, jobs=at_once, stop=stop, launch=launch_with_ray(), **more)


def launch_with_ray() -> Launch:
    """Return what trains a run in a task on whatever node has room; run folders lie on storage that all share."""
    import ray

    status = start_status_actor()

    def launch_task(run: Path, threads: int, stop: Event, kill: Event) -> Ended:
        task = ray.remote(num_cpus=threads, max_retries=MAX_RETRIES)(_train)
        running = task.remote(run.absolute(), threads, Path.cwd(), status)
        while not ray.wait([running], timeout=POLL)[0]:
            if kill.is_set():  # which closes stdin of its process, that writes a checkpoint and ends
                ray.cancel(running, force=True)
            elif stop.is_set():
                ray.get(status.stop.remote())
        try:
            return Ended(*ray.get(running))
        except ray.exceptions.RayError as error:
            return Ended(CRASHED, _last_error(error))

    return launch_task


def _train(run: Path, threads: int, here: Path, status: Any) -> tuple[int, str]:
    """Train a run in a process of this node; return its exit code and its last error."""
    require_shared([run.parent])
    with suppress(OSError):
        os.chdir(here)
    with stop_on_request(status) as stop:
        ended = launch(run, threads, stop, Event())
        return ended.code, ended.last_error


def _last_error(error: Exception) -> str:
    cause = getattr(error, "cause", None)
    if isinstance(cause, ConfigError):
        return str(cause)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"its worker was lost more than {MAX_RETRIES} times ({lines[-1] if lines else type(error).__name__})"
