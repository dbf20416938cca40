"""Training on a Ray cluster: Ray Train starts and restarts the processes; the training loop is that of one machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from mltfr.cluster.connection import connected, require_shared, shared_storage
from mltfr.cluster.status import StatusCallback, start_status_actor, stop_on_request, stream_events, warnings_sent
from mltfr.errors import MltfrError, RunError
from mltfr.interactions import load_interactions
from mltfr.pipeline import RunConfig, check_new, fit
from mltfr.pipeline.artifact import METRICS
from mltfr.pipeline.finished import finished_run
from mltfr.storage.files import output_errors, read_json
from mltfr.storage.folder import MANIFEST
from mltfr.storage.lock import locked
from mltfr.storage.scratch import scratch_folder
from mltfr.training import Callback, Console, Interrupted, LostProcessError, leave_process_group

MAX_FAILURES = 3
"""Times that lost workers are replaced within one command."""
TIMEOUT = 7200
"""Seconds that a process waits for another one at most; the end of a process is noticed at once."""


@dataclass(frozen=True)
class TrainingJob:
    """What every worker needs to know.

    Attributes:
        settings: complete settings.
        files: the interaction log, under paths that all nodes know.
        reading: further arguments of `load_interactions`.
        out: the run folder, under a path that all nodes know.
        workers: number of processes (W).
        use_gpu: whether each has a GPU.
        here: working folder of the command, which relative paths of the settings begin at.
        storage: the folder that Ray Train requires; mltfr writes nothing into it.
        token: file that shows whether a node sees that storage.
    """

    settings: RunConfig
    files: tuple[Path, ...]
    reading: Mapping[str, Any]
    out: Path
    workers: int
    use_gpu: bool
    here: Path
    storage: Path
    token: Path


def fit_with_ray(
    settings: RunConfig,
    files: Sequence[Path],
    reading: Mapping[str, Any],
    out: Path,
    workers: int,
    address: str | None = None,
    *,
    resume: bool = False,
    callback: Callback | None = None,
    stop: Event | None = None,
) -> dict[str, Any]:
    """Fit a recommender with processes on a Ray cluster, and return the document of `metrics.json`.

    A lost worker is replaced up to `MAX_FAILURES` times: all processes go on from the last checkpoint in `out`.

    Args:
        settings: complete; the result is that of one process with the same `training.shards`.
        files: the interaction log, in one file or several.
        reading: further arguments of `load_interactions`.
        out: run folder; like the files on storage that all nodes share.
        workers: number of processes, a divisor of `training.shards`.
        address: of the cluster; None for a local one.
        resume: continue an interrupted run in `out`; a finished one of the same settings and log is left as it is.
        callback: receives the progress; by default the console (stderr).
        stop: when set, a checkpoint is written, and `Interrupted` raised.

    Raises:
        MltfrError: whatever `fit` raises; there is no cluster, or a node does not see the files.
        RunError: another command fits into `out`; or more workers were lost than are replaced.
        Interrupted: `stop` was set.
    """
    check_new(out, resume)
    out, stop = out.absolute(), stop or Event()
    callback = callback or Console()
    if (out / MANIFEST).exists():
        return finished_run(settings, load_interactions(list(files), **reading), out, callback).metrics
    with connected(address, workers), ray_storage(out) as storage, shared_storage(storage) as token:
        import ray

        check_new(out, resume)  # again: another command may have finished a run

        use_gpu = settings.training.device != "cpu" and ray.cluster_resources().get("GPU", 0) >= workers
        logs = tuple(file.absolute() for file in files)
        job = TrainingJob(settings, logs, dict(reading), out, workers, use_gpu, Path.cwd(), storage, token)
        status = start_status_actor()
        running = ray.remote(num_cpus=0, max_retries=0)(_run_trainer).remote(job, status)
        try:
            for method, values in stream_events(running, status, stop):
                getattr(callback, method)(*values)
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1][:300]
            raise RunError(
                f"The workers were lost more than {MAX_FAILURES} times, or failed ({reason}). "
                "If they were killed, run the same command with --resume."
            ) from error
        finally:
            callback.close()
    if not (out / MANIFEST).exists():
        raise Interrupted
    return read_json(out / METRICS)


def _run_trainer(job: TrainingJob, status: Any) -> None:
    """Run Ray Train in a process of its own, since it replaces signal handlers and writes to stdout."""
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer

    trainer = TorchTrainer(
        _work,
        train_loop_config={"job": job, "status": status},
        torch_config=TorchConfig(timeout_s=TIMEOUT),
        scaling_config=ray.train.ScalingConfig(num_workers=job.workers, use_gpu=job.use_gpu),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=str(job.storage),
            failure_config=ray.train.FailureConfig(max_failures=MAX_FAILURES),
        ),
    )
    trainer.fit()


def _work(config: Mapping[str, Any]) -> None:
    """Train as one of several processes; Ray calls it again, in new processes, after one was lost."""
    import ray

    job: TrainingJob = config["job"]
    status = config["status"]
    main = ray.train.get_context().get_world_rank() == 0
    again = not main or ray.get(status.begin.remote())
    finished = again and (job.out / MANIFEST).exists()  # at first it is somebody else's, which `fit` refuses
    if finished or ray.get(status.error.remote()) or ray.get(status.stopped.remote()):
        return
    try:
        require_shared([job.token, *job.files])
        with suppress(OSError):
            os.chdir(job.here)
        callback = StatusCallback(status) if main else Callback()
        with stop_on_request(status) as stop, warnings_sent(status) if main else nullcontext():
            log = load_interactions(list(job.files), **job.reading)
            fit(job.settings, log, job.out, resume=True, callback=callback, stop=stop)
    except Interrupted:
        return
    except LostProcessError:
        if ray.get(status.error.remote()) is None:  # the process that found an error has left
            raise
    except MltfrError as error:  # raising it would make Ray retry
        ray.get(status.fail.remote(type(error).__name__, str(error)))
        leave_process_group()


@contextmanager
def ray_storage(out: Path) -> Iterator[Path]:
    """Yield a new folder for Ray Train in `.NAME.ray` beside a run, which is locked and goes with it.

    Raises:
        RunError: another command fits the run on a cluster.
        OutputError: the folder cannot be made.
    """
    beside = out.parent / f".{out.name}.ray"
    try:
        with locked(beside), output_errors(beside), scratch_folder(beside, "train") as folder:
            yield folder
    finally:
        with suppress(OSError):  # something else lies in it, or another command is at work there
            beside.rmdir()
