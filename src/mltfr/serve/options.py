"""Options of a service: its limits, and how long it waits for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceOptions:
    """Limits of a service; times are in seconds.

    Attributes:
        max_batch: histories that go through the model together, at most.
        queue: requests that may wait; the next one is refused (503).
        queue_bytes: bytes of their bodies that may wait.
        timeout: from a request's last byte to its answer; later, it is given up (504).
        max_body: bytes of a body (413).
        body_timeout: from a request's header to the last byte of its body (408).
        idle_timeout: how long a connection may stay open without a request.
        max_k: items that one list may have.
        max_histories: users and histories of one request, each.
        max_explained: users and histories of one request for explanations, each.
        interactions: interactions newer than the training that are kept; the oldest give way.
        rate: requests a second of one key, or of all callers where there is no key; None for no limit (429).
        drain: how long a service that was told to stop goes on, so that whoever asks `/health/ready` sees it.
        grace: how long accepted requests may take after that.
    """

    max_batch: int = 64
    queue: int = 1024
    queue_bytes: int = 1 << 26
    timeout: float = 2.0
    max_body: int = 1 << 20
    body_timeout: float = 10.0
    idle_timeout: float = 30.0
    max_k: int = 1000
    max_histories: int = 256
    max_explained: int = 4
    interactions: int = 100_000
    rate: float | None = None
    drain: float = 1.0
    grace: float = 30.0
