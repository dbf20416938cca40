"""The gate: what every request goes through, whatever it asks for: key, rate, request id, log and metrics."""

from __future__ import annotations

import logging
import re
from itertools import count
from secrets import token_hex
from time import monotonic

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mltfr.serve.body import path_of
from mltfr.serve.keys import Keys, Rate
from mltfr.serve.log import REQUEST, log, log_fault
from mltfr.serve.metrics import METHODS, UNMATCHED
from mltfr.serve.problems import Problem, later, problem_response
from mltfr.serve.service import FAULT, ClientGone, Service

GUARDED = "/v1/"
"""Beginning of the paths that need a key."""
GONE = 499
"""Status, in log and metrics, of a request whose client went away before the answer."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_process, _count = token_hex(4), count()  # a call of the system for every id would have the event loop wait for others


class Gate:
    """ASGI middleware that lets requests in, and tells log and metrics what became of them.

    Args:
        app: what answers them.
        service: its metrics and its state.
        keys: the API keys; without any, no key is asked for.
    """

    def __init__(self, app: ASGIApp, service: Service, keys: Keys) -> None:
        self.app, self.service, self.keys = app, service, keys
        self.rate = Rate(service.options.rate) if service.options.rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, metrics, status = monotonic(), self.service.metrics, 0
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"{_process}{next(_count):08x}".encode()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = [(b"x-request-id", request_id), (b"x-content-type-options", b"nosniff")]
                if self.service.draining:
                    more.append((b"connection", b"close"))
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        metrics.in_progress.inc()
        try:
            refusal = self._refusal(scope, headers)
            if refusal is None:
                await self.app(scope, receive, noted)
            else:
                await problem_response(refusal)(scope, receive, noted)
        except ClientGone:
            status = GONE
        except Exception as error:
            log_fault("request failed", error, id=request_id.decode())
            if not status:
                await problem_response(Problem(500, FAULT))(scope, receive, noted)
        finally:
            seconds = monotonic() - begun
            metrics.in_progress.dec()
            method, route = scope["method"], getattr(scope.get("route"), "path", UNMATCHED)
            metrics.answered(method, route, status, seconds)
            log(
                logging.INFO if route.startswith(GUARDED) or status >= 400 else logging.DEBUG,
                REQUEST,
                id=request_id.decode(),
                method=method if method in METHODS else "other",
                route=route,
                status=status,
                ms=round(seconds * 1000, 3),
            )

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Problem | None:
        """Return why a request is not let in; None if it is."""
        if not path_of(scope).startswith(GUARDED):
            return None
        who = self.keys.who(headers) if self.keys else None
        if self.keys and who is None:
            self.service.metrics.rejected.labels("key").inc()
            detail = "Expected an API key in the header X-API-Key, or as Authorization: Bearer KEY."
            return Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="mltfr"'})
        if self.rate is not None and (seconds := self.rate.wait(who)):
            self.service.metrics.rejected.labels("rate").inc()
            return later(429, f"More than {self.rate.rate:g} requests a second. Send it again later.", seconds)
        return None
