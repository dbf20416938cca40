"""A service in this process, and a client that speaks to it without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from mltfr.serve.app import make_app
from mltfr.serve.keys import Keys
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.options import ServiceOptions
from mltfr.serve.service import Service

RUNS = Path(__file__).parents[1] / "parity" / "runs"
"""Folder of the small runs `bare` and `mltfr`: 60 users, 25 items."""
KEY = "the-key-of-the-tests"


class Client:
    """Sends requests to a service, from an event loop in a thread of its own."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop, keys: Keys | None = None, **how: Any) -> None:
        self.service = service
        self.app = make_app(service, keys, **how)
        self._loop = loop
        transport = httpx.ASGITransport(self.app)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://service", timeout=30)

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        return self.together([(method, path, how)])[0]

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self.ask("GET", path, **how)

    def post(self, path: str, document: Any = None, **how: Any) -> httpx.Response:
        return self.ask("POST", path, **({"json": document} if document is not None else {}), **how)

    def recommend(self, **document: Any) -> Any:
        answer = self.post("/v1/recommend", document)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def together(self, requests: Sequence[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """Send requests at the same time; return the answers in their order."""

        async def send() -> list[httpx.Response]:
            return await asyncio.gather(*(self._http.request(m, path, **how) for m, path, how in requests))

        return self.wait(send())

    def wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


@contextmanager
def client_of(
    run: LoadedRun,
    keys: Keys | None = None,
    start: bool = True,
    cors: Sequence[str] = (),
    page: bool = True,
    **options: Any,
) -> Iterator[Client]:
    """Yield a client of a service that ends with the context.

    Args:
        run: the run that answers.
        keys: the API keys.
        start: whether the inference thread works.
        cors: origins whose pages may ask.
        page: whether there is a page for people.
        options: options of the service.
    """
    service = Service(run, ServiceOptions(**{"timeout": 20.0, **options}))
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    if start:
        service.start()
    try:
        yield Client(service, loop, keys, cors=cors, page=page)
    finally:
        service.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
