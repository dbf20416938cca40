"""Jobs: requests on their way from the event loop to the inference thread, and the bounded queue between the two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltfr.serve.loaded import LoadedRun
    from mltfr.serve.schemas import RecommendRequest

Lone = Callable[["LoadedRun", float], bytes]
"""Work that is done alone: the run and the moment of arrival in, the body of the answer out."""


@dataclass(eq=False)
class Job:
    """A request that waits for the model.

    Attributes:
        work: a request for recommendations, which may go through the model with others, or lone work.
        future: gets the body of the answer, or the error; of the event loop that made the job.
        weight: histories that go through the model.
        size: bytes of the request's body.
        arrived: when it came, by the monotonic clock.
    """

    work: RecommendRequest | Lone
    future: asyncio.Future[bytes]
    weight: int = 1
    size: int = 0
    arrived: float = field(default_factory=monotonic)


class QueueFull(Exception):
    """No more requests can wait."""


class JobQueue:
    """A queue that refuses what is too much, and from which a job that nobody waits for can be taken.

    Args:
        limit: jobs that may wait.
        limit_bytes: bytes of their requests' bodies that may wait.
    """

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self.limit, self.limit_bytes = limit, limit_bytes
        self._jobs: dict[Job, None] = {}  # in their order
        self._bytes = 0
        self._changed = Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """Let a job wait.

        Raises:
            QueueFull: too many do, or the queue is closed.
        """
        with self._changed:
            if self._closed or len(self._jobs) >= self.limit or self._bytes + job.size > self.limit_bytes:
                raise QueueFull
            self._jobs[job] = None
            self._bytes += job.size
            self._changed.notify()

    def remove(self, job: Job) -> None:
        """Take a job out that nobody waits for any more; nothing where it is not there."""
        with self._changed:
            self._take(job)

    def take(self, most: int) -> list[Job]:
        """Return the next jobs as soon as there is one; none once the queue is closed and empty.

        Lone work comes alone. Requests for recommendations come with those that wait right behind them.

        Args:
            most: histories of several jobs, at most.
        """
        with self._changed:
            while not self._jobs:
                if self._closed:
                    return []
                self._changed.wait()
            taken: list[Job] = []
            weight = 0
            for job in self._jobs:
                if taken and (callable(job.work) or weight + job.weight > most):
                    break
                taken.append(job)
                weight += job.weight
                if callable(job.work):
                    break
            for job in taken:
                self._take(job)
            return taken

    def close(self) -> None:
        """Take no more jobs; those that wait are still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, job: Job) -> None:
        if job in self._jobs:
            del self._jobs[job]
            self._bytes -= job.size
