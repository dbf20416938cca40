"""What workers on a cluster and the command that started them tell each other."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

from mltfr import errors
from mltfr.errors import MissingExtraError, MltfrError, RunError
from mltfr.training import Reporter
from mltfr.training.reporting import Record

POLL = 0.5
"""Seconds between two looks."""
GRACE = 10.0
"""Seconds that a worker has to find the mistake that another one has found, before it is ended."""


class Bulletin:
    """Runs as a Ray actor: news for the command, a stop for the workers, and a user's mistake for everybody."""

    def __init__(self) -> None:
        self._news: list[tuple[str, tuple[Any, ...]]] = []
        self._stopped = False
        self._error: tuple[str, str] | None = None

    def post(self, method: str, *values: Any) -> None:
        """Keep the name of a `Reporter`'s method with its arguments."""
        self._news.append((method, values))

    def take(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Return what was posted since the last call."""
        news, self._news = self._news, []
        return news

    def stop(self) -> None:
        """Ask all workers to stop."""
        self._stopped = True

    def stopped(self) -> bool:
        """Return whether the workers are to stop."""
        return self._stopped

    def fail(self, kind: str, message: str) -> None:
        """Keep the first error that no repetition can mend."""
        self._error = self._error or (kind, message)

    def error(self) -> tuple[str, str] | None:
        """Return it."""
        return self._error


class BulletinReporter(Reporter):
    """Posts what is worth a line; where batches stand, twice a second at most.

    Args:
        bulletin: handle of the actor.
    """

    def __init__(self, bulletin: Any) -> None:
        self.bulletin = bulletin
        self.posted = 0.0

    def message(self, text: str) -> None:
        """Post a remark."""
        self.bulletin.post.remote("message", text)

    def round_started(self, number: int, rounds: int, epochs: int, batches: int) -> None:
        """Post the start of a round."""
        self.bulletin.post.remote("round_started", number, rounds, epochs, batches)

    def batch_done(self, epoch: int, batch: int) -> None:
        """Post where the epoch stands."""
        if time.monotonic() - self.posted >= POLL:
            self.posted = time.monotonic()
            self.bulletin.post.remote("batch_done", epoch, batch)

    def epoch_done(self, record: Record) -> None:
        """Post an epoch's result."""
        self.bulletin.post.remote("epoch_done", record)


def make_bulletin() -> Any:
    """Return the handle of a new bulletin, on the node of the command."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(num_cpus=0, max_restarts=0)(Bulletin).options(scheduling_strategy=here).remote()


def as_error(kind: str, message: str) -> MltfrError:
    """Return the error that a worker has posted; of a class that is not known here, a `RunError`."""
    known = {each.__name__: each for each in vars(errors).values() if isinstance(each, type)}
    found = known.get(kind, RunError)
    if not issubclass(found, MltfrError) or issubclass(found, MissingExtraError):  # which makes its own message
        found = RunError
    return found(message)


@contextmanager
def watched(bulletin: Any) -> Iterator[Event]:
    """Return an event, in a worker, that is set soon after the command asks to stop.

    Where another worker has found a user's mistake, this one may wait for it in vain: it is ended after a while.
    """
    import ray

    stop, over = Event(), Event()

    def watch() -> None:
        while not over.wait(POLL):
            if ray.get(bulletin.stopped.remote()):
                stop.set()
            if ray.get(bulletin.error.remote()) is not None and not over.wait(GRACE):
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield stop
    finally:
        over.set()


def follow(running: Any, bulletin: Any, stop: Event | None = None) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield what a task and its workers post until it has ended; it ends with the one who follows it.

    Args:
        running: reference of the task.
        bulletin: handle of the actor.
        stop: when set, the workers are asked to stop.

    Raises:
        MltfrError: a user's mistake that a worker has found.
        RayError: what ended the task.
    """
    import ray

    over: list[Any] = []
    try:
        while not over:
            over, _ = ray.wait([running], timeout=POLL)
            yield from ray.get(bulletin.take.remote())
            if stop is not None and stop.is_set():
                ray.get(bulletin.stop.remote())
        yield from ray.get(bulletin.take.remote())
        if (error := ray.get(bulletin.error.remote())) is not None:
            raise as_error(*error)
        ray.get(running)
    finally:
        if not over:  # a second Ctrl-C
            ray.cancel(running, force=True)
