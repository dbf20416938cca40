"""Batch recommendations on a Ray cluster: Ray Data deals the parts of a job out to workers that have the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from mltfr.batch import Part, PartScorer, PartsFolder, RecommendationSpec, Summary, Users
from mltfr.batch.folder import Record
from mltfr.engine.bulletin import follow, make_bulletin
from mltfr.engine.cluster import connected, require_shared, shared_storage
from mltfr.errors import MltfrError, RunError
from mltfr.inference.top_k import Progress
from mltfr.runs import load_served
from mltfr.training import Interrupted


@dataclass(frozen=True)
class BatchJob:
    """What every worker is told.

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
        bulletin: where an error goes that no repetition can mend.
    """

    def __init__(self, job: BatchJob, bulletin: Any) -> None:
        self.job, self.bulletin = job, bulletin
        self.scorer: PartScorer | None = None

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Score and write the parts `number, start, stop`; return what the manifest and the command say of them."""
        try:
            if self.scorer is None:
                require_shared([self.job.token, self.job.run])
                self.scorer = PartScorer(load_served(self.job.run), self.job.spec, self.job.run)
            columns = (batch[name] for name in ("number", "start", "stop"))
            done = [self._part(self.scorer, Part(*map(int, row))) for row in zip(*columns, strict=True)]
        except MltfrError as error:
            import ray

            ray.get(self.bulletin.fail.remote(type(error).__name__, str(error)))
            raise
        return {"done": [json.dumps(each) for each in done]}

    def _part(self, scorer: PartScorer, part: Part) -> dict[str, Any]:
        scored = scorer.score(self.job.users.read(part.start, part.stop))
        return {
            "number": part.number,
            "record": self.job.folder.write(part, scored),
            "users": scored.table["user_id"].n_unique(),
            "unknown": dict(scored.unknown),
            "without_known_item": scored.without_known_item,
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
    progress: Progress | None = None,
    stop: Event | None = None,
) -> Summary:
    """Score the parts that are not finished on a Ray cluster, and write the manifest at the end.

    The parts are those of one machine, so the result is the same. A lost worker is replaced, and only the part that
    it had at hand is scored again.

    Args:
        run: the run folder.
        spec: what every user gets.
        users: who gets it, in files under absolute paths.
        folder: where the parts go, an absolute path; `begin` has been called.
        finished: what `begin` returned.
        workers: processes that score.
        address: of the cluster; None for a local one.
        progress: told of users after every part.
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
    scored = len(users) - sum(map(len, left))
    with connected(address, workers), shared_storage(folder.folder.absolute()) as token:
        import ray

        bulletin = make_bulletin()
        job = BatchJob(run.absolute(), spec, users, folder, token)
        running = ray.remote(num_cpus=0, max_retries=0)(_deal_out).remote(job, left, workers, bulletin)
        try:
            for _, (done,) in follow(running, bulletin, stop):
                record = records[done["number"]] = done["record"]
                summary.users += done["users"]
                summary.rows += record["rows"]
                summary.unknown.update(done["unknown"])
                summary.without_known_item += done["without_known_item"]
                scored += record["users"]
                if progress is not None:
                    progress(scored, len(users))
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1][:300]
            raise RunError(
                f"The workers failed ({reason}). Finished parts are kept: continue with --resume."
            ) from error
    if len(records) < len(folder.parts):
        raise Interrupted
    folder.finish(records)
    return summary


def _deal_out(job: BatchJob, parts: list[Part], workers: int, bulletin: Any) -> None:
    """Run Ray Data in a process of its own, where its output is in nobody's way; post every part that is written."""
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    items = [{"number": part.number, "start": part.start, "stop": part.stop} for part in parts]
    rows = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        ScoreParts,
        fn_constructor_args=(job, bulletin),
        batch_size=1,
        concurrency=min(workers, len(parts)),
        num_cpus=1,
        max_restarts=-1,  # a lost worker is replaced,
        max_task_retries=-1,  # and its part scored again
    )
    for row in rows.iter_rows():
        if ray.get(bulletin.stopped.remote()):
            return
        ray.get(bulletin.post.remote("part", json.loads(row["done"])))
