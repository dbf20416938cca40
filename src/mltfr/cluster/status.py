"""Status of a Ray job: events from its workers, a stop request from the command, and the first error."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

from mltfr import errors
from mltfr.errors import MissingExtraError, MltfrError, MltfrWarning, RunError
from mltfr.training import Callback
from mltfr.training.callbacks import Record

POLL = 0.5
"""Seconds between two polls of the actor."""
GRACE = 10.0
"""Seconds that a worker has to fail by itself after another one has failed, before it is ended."""


WARNING = "warning"
"""The event that is a warning for the user; `stream_events` gives it, and does not yield it."""


class StatusActor:
    """A Ray actor shared by all processes of a job: events, the stop request and the first error."""

    def __init__(self) -> None:
        self._events: list[tuple[str, tuple[Any, ...]]] = []
        self._stopped = False
        self._error: tuple[str, str] | None = None
        self._warned: set[str] = set()
        self._begun = False

    def post(self, method: str, *values: Any) -> None:
        """Queue an event: the name of a `Callback`'s method with its arguments."""
        self._events.append((method, values))

    def warn(self, text: str) -> None:
        """Queue a warning that has not been queued yet."""
        if text not in self._warned:
            self._warned.add(text)
            self.post(WARNING, text)

    def drain(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    def stop(self) -> None:
        """Ask all workers to stop."""
        self._stopped = True

    def stopped(self) -> bool:
        """Return whether a stop was requested."""
        return self._stopped

    def fail(self, kind: str, message: str) -> None:
        """Keep the first error that a retry would meet again."""
        self._error = self._error or (kind, message)

    def begin(self) -> bool:
        """Return whether workers have begun before, and note that they have now."""
        begun, self._begun = self._begun, True
        return begun

    def error(self) -> tuple[str, str] | None:
        """Return that error as (class name, message), None if there is none."""
        return self._error


class StatusCallback(Callback):
    """Sends the progress of a training to the status actor; batches and steps twice a second at most.

    Args:
        status: handle of the actor.
    """

    def __init__(self, status: Any) -> None:
        self.status = status
        self.sent = 0.0
        self.waiting = 0

    def start(self, task: str, total: int | None = None, done: int = 0) -> None:
        """Send the start of a task."""
        self.waiting = 0
        self.status.post.remote("start", task, total, done)

    def advance(self, steps: int = 1) -> None:
        """Send the steps done since they were last sent."""
        self.waiting += steps
        if time.monotonic() - self.sent >= POLL:
            self.sent = time.monotonic()
            self.status.post.remote("advance", self.waiting)
            self.waiting = 0

    def message(self, text: str) -> None:
        """Send a remark."""
        self.status.post.remote("message", text)

    def on_round_start(self, number: int, rounds: int, epochs: int, batches: int) -> None:
        """Send the start of a round."""
        self.status.post.remote("on_round_start", number, rounds, epochs, batches)

    def on_batch_end(self, epoch: int, batch: int) -> None:
        """Send the number of batches done."""
        if time.monotonic() - self.sent >= POLL:
            self.sent = time.monotonic()
            self.status.post.remote("on_batch_end", epoch, batch)

    def on_epoch_end(self, record: Record) -> None:
        """Send an epoch's result."""
        self.status.post.remote("on_epoch_end", record)


def start_status_actor() -> Any:
    """Start the status actor on the node of the command, and return its handle."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(num_cpus=0, max_restarts=0)(StatusActor).options(scheduling_strategy=here).remote()


def rebuild_error(kind: str, message: str) -> MltfrError:
    """Return the error that a worker reported; a `RunError` if its class cannot be rebuilt here."""
    found = getattr(errors, kind, RunError)
    rebuildable = issubclass(found, MltfrError) and not issubclass(found, MissingExtraError)  # makes its own message
    return found(message) if rebuildable else RunError(message)


@contextmanager
def warnings_sent(status: Any) -> Iterator[None]:
    """Send the warnings of a worker to the command, which warns of each once, however often workers are replaced."""
    import ray

    with warnings.catch_warnings():
        warnings.simplefilter("always", MltfrWarning)
        show = warnings.showwarning

        def send(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, MltfrWarning):
                ray.get(status.warn.remote(str(message)))
            else:
                show(message, category, *place, **more)

        warnings.showwarning = send
        yield


@contextmanager
def stop_on_request(status: Any) -> Iterator[Event]:
    """Return an event, in a worker, that is set once the command requests a stop.

    On GPUs, a worker may wait in vain for another one that has failed: it is ended `GRACE` seconds after that error.
    """
    import ray

    stop, over = Event(), Event()

    def poll() -> None:
        while not over.wait(POLL):
            if ray.get(status.stopped.remote()):
                stop.set()
            if ray.get(status.error.remote()) is not None and not over.wait(GRACE):
                os._exit(1)

    threading.Thread(target=poll, daemon=True).start()
    try:
        yield stop
    finally:
        over.set()


def stream_events(running: Any, status: Any, stop: Event | None = None) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the events of a task and its workers until it has ended; the task is cancelled if the caller stops early.

    Args:
        running: reference of the task.
        status: handle of the actor.
        stop: when set, a stop is requested of the workers.

    Raises:
        MltfrError: a worker reported it.
        RayError: the task failed.
    """
    import ray

    over: list[Any] = []
    try:
        while not over:
            over, _ = ray.wait([running], timeout=POLL)
            yield from without_warnings(ray.get(status.drain.remote()))
            if stop is not None and stop.is_set():
                ray.get(status.stop.remote())
        yield from without_warnings(ray.get(status.drain.remote()))
        if (error := ray.get(status.error.remote())) is not None:
            raise rebuild_error(*error)
        ray.get(running)
    finally:
        if not over:  # a second Ctrl-C
            ray.cancel(running, force=True)


def without_warnings(events: list[tuple[str, tuple[Any, ...]]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield events, and warn of those that are warnings."""
    for method, values in events:
        if method == WARNING:
            warnings.warn(values[0], MltfrWarning, stacklevel=4)
        else:
            yield method, values
