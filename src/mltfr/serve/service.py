"""The service: a queue, one inference thread, and the run that answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Sequence
from threading import Lock, Thread
from time import monotonic
from typing import Any

from starlette.requests import Request

from mltfr.serve.answers import Asked, asked_of, find, recommend_body
from mltfr.serve.interactions import NewInteractions
from mltfr.serve.jobs import Job, JobQueue, Lone, QueueFull
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.log import log, log_fault
from mltfr.serve.metrics import Metrics
from mltfr.serve.options import ServiceOptions
from mltfr.serve.problems import Problem, later
from mltfr.serve.schemas import RecommendRequest

FAULT = "The service failed on this request. It goes on; the log says where it failed."
PATIENCE = 0.1
"""Seconds of waiting after which is looked whether a client is still there; most answers come before."""
Outcome = bytes | Exception


class ClientGone(Exception):
    """Whoever asked does not wait for the answer any more."""


class Service:
    """Answers requests by one inference thread: what waits goes through the model together, and nothing waits for more.

    Args:
        run: the run that answers, warmed up.
        options: limits and times.

    Attributes:
        draining: whether the service was told to stop.
        interactions: what users chose since the training.
    """

    def __init__(self, run: LoadedRun, options: ServiceOptions | None = None) -> None:
        self.options = options or ServiceOptions()
        self.metrics = Metrics()
        self.draining = False
        self.interactions = NewInteractions(self.options.interactions)
        self.queue = JobQueue(self.options.queue, self.options.queue_bytes)
        self.metrics.queued.set_function(lambda: len(self.queue))
        self.metrics.interactions.set_function(lambda: len(self.interactions))
        self._run = run
        self._answering = Lock()  # held for a batch: a run changes between two, together with what is kept beside it
        self.metrics.show(run)
        self._thread = Thread(target=self._work, name="inference", daemon=True)

    @property
    def run(self) -> LoadedRun:
        """The run that answers."""
        return self._run

    @property
    def alive(self) -> bool:
        """Whether the inference thread is there."""
        return self._thread.is_alive()

    @property
    def ready(self) -> bool:
        """Whether requests are answered, and will be for some time."""
        return self.alive and not self.draining

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what waits, and end."""
        self.queue.close()
        if self.alive:
            self._thread.join()

    def switch(self, run: LoadedRun) -> None:
        """Let another run answer what is taken from the queue from now on, between two answers.

        What users chose since the training and the other run holds already is dropped from memory at the same moment,
        so that no answer reads it twice or misses it; the rest stays.
        """
        held = self.interactions.held_by(self._run.fitted.split, run.fitted.split)
        with self._answering:
            dropped = self.interactions.drop(held)
            self._run = run
        self.metrics.show(run)
        log(logging.INFO, "run switched", run=run.fingerprint, interactions_dropped=dropped)

    async def ask(self, request: Request, work: RecommendRequest | Lone, size: int) -> bytes:
        """Return the body of the answer to a request.

        Args:
            request: the HTTP request, which tells when its client goes away.
            work: what is asked for.
            size: bytes of the request's body.

        Raises:
            Problem: the queue is full (503), the answer took too long (504), or the request cannot be answered.
            ClientGone: nobody waits for the answer.
        """
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        job = Job(work, future, 1 if callable(work) else work.weight, size)
        try:
            self.queue.put(job)
        except QueueFull:
            self.metrics.rejected.labels("queue full").inc()
            raise later(503, "Too many requests wait already. Send it again later.") from None
        try:
            gone = await _wait_for_answer(future, request, self.options.timeout)
        finally:
            if not future.done():
                self.queue.remove(job)
                future.cancel()
        if not future.cancelled():
            return future.result()
        if gone:
            self.metrics.rejected.labels("client gone").inc()
            raise ClientGone
        self.metrics.rejected.labels("deadline").inc()
        seconds = f"{self.options.timeout:g} s"
        raise Problem(504, f"There was no answer within {seconds}. Ask for less, or send it again later.")

    def _work(self) -> None:
        while jobs := self.queue.take(self._run.together(self.options.max_batch)):
            begun = monotonic()
            outcomes: dict[Job, Outcome] = {}
            try:
                with self._answering:
                    self._answer(jobs, self._run, outcomes)
            except Exception as error:
                log_fault("inference failed", error)
            for job in jobs:
                outcomes.setdefault(job, Problem(500, FAULT))
            self.metrics.inference.observe(monotonic() - begun)
            _hand_over(outcomes)

    def _answer(self, jobs: Sequence[Job], run: LoadedRun, outcomes: dict[Job, Outcome]) -> None:
        groups: dict[Hashable, list[tuple[Job, Asked]]] = {}
        for job in jobs:
            if job.future.cancelled():  # nobody waits for it any more
                continue
            try:
                if callable(job.work):
                    outcomes[job] = job.work(run, job.arrived)
                else:
                    asked = asked_of(job.work, run, self.interactions)
                    groups.setdefault(asked.group, []).append((job, asked))
            except Problem as problem:
                outcomes[job] = problem
            except Exception as error:
                log_fault("request failed", error)
        for group in groups.values():
            self._recommend(group, run, outcomes)

    def _recommend(self, group: Sequence[tuple[Job, Asked]], run: LoadedRun, outcomes: dict[Job, Outcome]) -> None:
        """Answer requests that go through the model together; where that fails, each alone."""
        try:
            found = find([asked for _, asked in group], run.alone)
        except Exception as error:
            log_fault("batch failed", error, requests=len(group))
            if len(group) > 1:
                for one in group:
                    self._recommend([one], run, outcomes)
            return
        self.metrics.batches.observe(sum(len(asked.rows) for _, asked in group))
        for (job, asked), best in zip(group, found, strict=True):
            outcomes[job] = recommend_body(asked, best, run, job.arrived)
            self.metrics.unknown.inc(sum(len(row.skipped) for row in asked.rows))
            popular = sum(1 for row in asked.rows if not (row.codes > 0).any())
            if popular:
                self.metrics.fallbacks.labels("popular").inc(popular)


async def _wait_for_answer(future: asyncio.Future[bytes], request: Request, timeout: float) -> bool:
    """Wait for an answer, for so many seconds at most; return whether the client went away before it.

    Most answers are there before it is worth looking.
    """
    await asyncio.wait([future], timeout=min(PATIENCE, timeout))
    if future.done() or timeout <= PATIENCE:
        return False
    gone = asyncio.ensure_future(_gone(request))
    try:
        either: set[asyncio.Future[Any]] = {future, gone}
        await asyncio.wait(either, timeout=timeout - PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        return gone.done() and not future.done()
    finally:
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _hand_over(outcomes: dict[Job, Outcome]) -> None:
    """Give the outcomes to the event loops that wait for them, all of one loop at once."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[bytes], Outcome]]] = {}
    for job, outcome in outcomes.items():
        loops.setdefault(job.future.get_loop(), []).append((job.future, outcome))
    for loop, pairs in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set, pairs)


def _set(pairs: Sequence[tuple[asyncio.Future[bytes], Outcome]]) -> None:
    for future, outcome in pairs:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
