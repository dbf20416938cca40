"""Batch recommendations on a Ray cluster: Ray Data distributes the parts of a job over workers that hold the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from mltfr.batch import Part, PartScorer, PartsFolder, Summary, Users
from mltfr.batch.folder import Record
from mltfr.cluster.connection import connected, require_shared, shared_storage
from mltfr.cluster.status import start_status_actor, stream_events
from mltfr.errors import MltfrError, RunError
from mltfr.inference import RecommendationSpec, Shortfalls
from mltfr.pipeline import load_inference_model
from mltfr.storage.parse import parse_json
from mltfr.storage.progress import SILENT, Progress
from mltfr.training import Interrupted


@dataclass(frozen=True)
class BatchJob:
    """What every worker needs to know.

    Attributes:
        run: the run folder.
        spec: what every user gets.
        users: who gets it.
        folder: where the parts go; like the run and the users' file under a path that all nodes know.
        token: file that shows whether a node sees the storage of `folder`.
    """

    run: Path
    spec: RecommendationSpec
    users: Users
    folder: PartsFolder
    token: Path


class ScoreParts:
    """A worker of Ray Data: loads the recommender once, then scores and writes part after part.

    Args:
        job: what to do.
        status: handle of the status actor, for an error that a retry would meet again.
    """

    def __init__(self, job: BatchJob, status: Any) -> None:
        self.job, self.status = job, status
        self.scorer: PartScorer | None = None

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Score and write the parts `number, start, stop`; return their records for the manifest and the summary."""
        try:
            if self.scorer is None:
                require_shared([self.job.token, self.job.run])
                self.scorer = PartScorer(load_inference_model(self.job.run), self.job.spec, self.job.run)
            columns = (batch[name] for name in ("number", "start", "stop"))
            done = [self._part(self.scorer, Part(*map(int, row))) for row in zip(*columns, strict=True)]
        except MltfrError as error:
            import ray

            ray.get(self.status.fail.remote(type(error).__name__, str(error)))
            raise
        return {"done": [json.dumps(each) for each in done]}

    def _part(self, scorer: PartScorer, part: Part) -> dict[str, Any]:
        scored = scorer.score(self.job.users.read(part.start, part.stop))
        return {
            "number": part.number,
            "record": self.job.folder.write(part, scored),
            "shortfalls": scored.shortfalls.to_dict(),
        }


def recommend_with_ray(
    run: Path,
    spec: RecommendationSpec,
    users: Users,
    folder: PartsFolder,
    finished: dict[int, Record],
    workers: int,
    address: str | None = None,
    *,
    progress: Progress = SILENT,
    stop: Event | None = None,
) -> Summary:
    """Score the parts that are not finished on a Ray cluster, and write the manifest at the end.

    The parts are those of one machine, so the result is the same. A lost worker is replaced, and only the part that
    it was scoring is scored again.

    Args:
        run: the run folder.
        spec: what every user gets.
        users: who gets it, in files under absolute paths.
        folder: where the parts go, an absolute path; `begin` has been called.
        finished: what `begin` returned.
        workers: processes that score.
        address: of the cluster; None for a local one.
        progress: receives how many users are done.
        stop: when set, `Interrupted` is raised; finished parts stay.

    Raises:
        MltfrError: whatever one machine raises; there is no cluster, or a node does not see the files.
        RunError: the workers failed again and again.
        Interrupted: `stop` was set.
    """
    records = dict(finished)
    summary = Summary.of_kept(records)
    left = [part for part in folder.parts if part.number not in records]
    if not left:
        folder.finish(records)
        return summary
    progress.start("recommending", len(users), done=len(users) - sum(map(len, left)))
    with connected(address, workers), shared_storage(folder.folder.absolute()) as token:
        import ray

        status = start_status_actor()
        job = BatchJob(run.absolute(), spec, users, folder, token)
        running = ray.remote(num_cpus=0, max_retries=0)(_distribute).remote(job, left, workers, status)
        try:
            for _, (done,) in stream_events(running, status, stop):
                record = records[done["number"]] = done["record"]
                summary.add(record["users"], record["rows"], Shortfalls.of_dict(done["shortfalls"]))
                progress.advance(record["users"])
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1][:300]
            raise RunError(
                f"The workers failed ({reason}). Finished parts are kept: continue with --resume."
            ) from error
    if len(records) < len(folder.parts):
        raise Interrupted
    folder.finish(records)
    return summary


def _distribute(job: BatchJob, parts: list[Part], workers: int, status: Any) -> None:
    """Run Ray Data in a process of its own, since it writes to stdout; send an event for every part that is written."""
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    items = [{"number": part.number, "start": part.start, "stop": part.stop} for part in parts]
    rows = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        ScoreParts,
        fn_constructor_args=(job, status),
        batch_size=1,
        concurrency=min(workers, len(parts)),
        num_cpus=1,
        max_restarts=-1,  # a lost worker is replaced,
        max_task_retries=-1,  # and its part scored again
    )
    for row in rows.iter_rows():
        if ray.get(status.stopped.remote()):
            return
        ray.get(status.post.remote("part", parse_json(row["done"])))
