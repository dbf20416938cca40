"""A study whose cells are tasks on a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

from mltfr.cluster.cells import RayWorker
from mltfr.cluster.connection import connected
from mltfr.study import Outcome, run_study
from mltfr.study.config import load_study


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
    threads = load_study(file, more.get("data")).threads
    with connected(address, (workers or 1) * threads):
        import ray

        at_once = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        return run_study(file, out, jobs=at_once, stop=stop, launch=RayWorker, **more)
