"""What is too much, too slow, or not what it should be, is one short answer, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import tracemalloc
from itertools import pairwise
from time import monotonic, sleep

import httpx
import pytest

from mltfr.serve.app import make_app
from mltfr.serve.keys import Keys
from mltfr.serve.options import ServiceOptions
from mltfr.serve.service import PATIENCE, Service
from support.service import KEY, Client, client_of

TEXT = {"headers": {"content-type": "application/json"}}
ASKED = {"histories": [["i3", "i9"]], "k": 3}


def problem(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["detail"]
    assert document["title"]
    return document


@pytest.mark.parametrize(
    "change",
    [{"k": k} for k in (0, -1, 10**9, 10**400, True, "5", 2.5, None)]
    + [{"k": [5]}, {"users": []}, {"users": "u1"}, {"users": [""]}, {"users": [" \u00a0"]}, {"users": [1.5]}]
    + [{"users": ["\x85"]}, {"users": [True]}, {"users": [None]}, {"users": [10**40]}, {"kk": 5}]
    + [{"histories": []}, {"histories": {}}]
    + [{"histories": [["a"], "b"]}, {"histories": [[["a"]]]}, {"histories": {" a": [], "a": []}}, {"include_seen": 1}]
    + [{"histories": [[]] * 257}, {"users": ["u1"] * 257}, {"deny": "i3"}, {"allow": [{}]}, {"new_items": "yes"}],
)
def test_a_field_that_is_not_what_it_should_be(client: Client, change: dict) -> None:
    answer = client.post("/v1/recommend", **TEXT, content=json.dumps({**ASKED, **change}))
    document = problem(answer, 400 if change == {"k": 10**400} and answer.status_code == 400 else 422)
    assert len(document["detail"]) < 300


def test_a_blank_key_of_histories_is_said_as_every_blank_id(client: Client) -> None:
    answer = client.post("/v1/recommend", {"histories": {" ": ["i3"]}})
    detail = problem(answer, 422)["detail"]
    assert detail.endswith("expected an id: a text that is not blank, or a whole number up to 9.2e18.")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422), (b"{", 400), (b"[" * 100_000, 400), (b'{"a":' * 100_000, 400), (b"\xff\xfe", 400), (b"[]", 422),
        (b"null", 422), (b'{"histories": [["\\ud800"]]}', 400), (b'{"histories": [[]], "k": NaN}', 422),
        (b'{"histories": [[]], "k": 1e400}', 422), (b'{"histories": [[]], "k": -Infinity}', 422),
        (b'{"histories": [[]], "k": 1' + b"0" * 5000 + b"}", 400), (b" " * (1 << 20) + b"{}", 413),
    ],
)  # fmt: skip
def test_a_body_that_is_not_what_it_should_be(client: Client, content: bytes, status: int) -> None:
    problem(client.post("/v1/recommend", **TEXT, content=content), status)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
@pytest.mark.parametrize("end", ["", "%0A"])  # the router lets a line end behind a path
def test_a_body_of_another_type(client: Client, kind: str | None, end: str) -> None:
    headers = {"content-type": kind} if kind else {}
    problem(client.post(f"/v1/recommend{end}", headers=headers, content=json.dumps(ASKED)), 415)
    good = client.post("/v1/recommend", headers={"content-type": "Application/JSON; charset=utf-8"},
                       content=json.dumps(ASKED))  # fmt: skip
    assert good.status_code == 200


def test_paths_and_methods(client: Client) -> None:
    problem(client.get("/nothing"), 404)
    problem(client.get("/v1/nothing"), 404)
    for method, path, allowed in (("GET", "/v1/recommend", "POST"), ("DELETE", "/v1/info", "GET"),
                                  ("POST", "/health/live", "GET"), ("TRACE", "/metrics", "GET")):  # fmt: skip
        answer = client.ask(method, path)
        problem(answer, 405)
        assert answer.headers["allow"] == allowed


def test_a_service_below_a_path_of_its_proxy(run) -> None:
    with client_of(run, Keys([KEY])) as client:

        async def ask(headers: dict[str, str], path: str) -> httpx.Response:
            transport = httpx.ASGITransport(client.app, root_path="/below")
            async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as http:
                return await http.post(path, json=ASKED)

        known = {"x-api-key": KEY}
        assert client.wait(ask(known, "/below/v1/recommend")).status_code == 200
        problem(client.wait(ask({}, "/below/v1/recommend")), 401)
        problem(client.wait(ask(known, "/below/v1/recommend/")), 404)


def test_a_deadline_before_anybody_looks_for_the_client(run) -> None:
    with client_of(run, start=False, timeout=PATIENCE / 2) as client:
        problem(client.post("/v1/recommend", ASKED), 504)
        assert len(client.service.queue) == 0


def test_a_body_without_end(client: Client) -> None:
    async def chunks():
        for _ in range(64):
            yield b" " * (1 << 20)
            await asyncio.sleep(0)

    problem(client.post("/v1/recommend", **TEXT, content=chunks()), 413)


def test_a_slow_body(run) -> None:
    async def chunks():
        for letter in json.dumps(ASKED):
            yield letter.encode()
            await asyncio.sleep(0.05)

    with client_of(run, body_timeout=0.2) as client:
        begun = monotonic()
        answer = client.post("/v1/recommend", **TEXT, content=chunks())
        problem(answer, 408)
        assert monotonic() - begun < 5
        assert answer.headers["connection"] == "close"


def test_a_full_queue_refuses_at_once(run) -> None:
    with client_of(run, start=False, queue=8, timeout=0.3) as client:
        many = [("POST", "/v1/recommend", {"json": ASKED})] * 40
        answers = client.together(many)
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(504) == 8
        assert statuses.count(503) == 32
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert refused.headers["retry-after"] == "1"
        problem(refused, 503)
        problem(next(answer for answer in answers if answer.status_code == 504), 504)
        assert len(client.service.queue) == 0  # those past their deadline have left it
        begun = monotonic()
        assert client.get("/health/ready").status_code == 503  # no inference thread
        assert client.get("/health/live").status_code == 503
        assert monotonic() - begun < 5


def test_large_bodies_fill_the_queue_too(run) -> None:
    with client_of(run, start=False, queue_bytes=1000, timeout=0.3) as client:
        large = ("POST", "/v1/recommend", {"json": {"histories": [["i3"] * 120]}})
        statuses = sorted(answer.status_code for answer in client.together([large] * 3))
        assert statuses == [503, 503, 504]


def test_refusals_wait_for_nobody_and_leave_nothing_behind(run) -> None:
    with client_of(run, start=False, queue=1, timeout=600) as client:
        asked = client._http.post("/v1/recommend", json=ASKED, timeout=600)
        waiting = asyncio.run_coroutine_threadsafe(asked, client._loop)
        while not len(client.service.queue):
            sleep(0.001)
        many = [("POST", "/v1/recommend", {"json": ASKED})] * 40
        client.together(many)
        begun = monotonic()
        assert client.post("/v1/recommend", ASKED).status_code == 503
        assert monotonic() - begun < 60                                  # and not when the queue is empty, in minutes
        logging.disable(logging.CRITICAL)  # pytest keeps every record of a test
        tracemalloc.start()
        held = []
        for _ in range(10):
            assert {answer.status_code for answer in client.together(many)} == {503}
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        logging.disable(logging.NOTSET)
        grown = [after - before for before, after in pairwise(held)]
        assert min(grown) < 100 * len(many), grown  # what is left behind is left in every round; caches fill in some
        client.service.start()
        assert waiting.result(20).status_code == 200


def test_whoever_goes_away_leaves_the_queue(run) -> None:
    with client_of(run, start=False, timeout=20) as client:
        sent: list[dict] = []
        gone = asyncio.Event()

        async def ask() -> None:
            body = [{"type": "http.request", "body": json.dumps(ASKED).encode()}]

            async def receive() -> dict:
                if body:
                    return body.pop()
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message: dict) -> None:
                sent.append(message)

            scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/recommend", "root_path": "",
                     "raw_path": b"/v1/recommend", "scheme": "http", "query_string": b"",
                     "headers": [(b"content-type", b"application/json")], "client": None, "server": None}  # fmt: skip
            task = asyncio.ensure_future(client.app(scope, receive, send))
            while not len(client.service.queue):
                await asyncio.sleep(0.001)
            gone.set()
            await task

        client.wait(ask())
        assert len(client.service.queue) == 0
        assert sent == []
        assert 'reason="client gone"} 1.0' in client.get("/metrics").text


def test_a_fault_is_one_answer(client: Client, run, monkeypatch) -> None:
    def fault(*_: object) -> None:
        raise RuntimeError("i3 is in this text")

    monkeypatch.setattr("mltfr.serve.service.asked_of", fault)
    document = problem(client.post("/v1/recommend", ASKED), 500)
    assert "i3" not in document["detail"]
    monkeypatch.undo()
    monkeypatch.setattr("mltfr.serve.routes.info", fault)
    problem(client.get("/v1/info"), 500)
    monkeypatch.undo()
    assert client.post("/v1/recommend", ASKED).status_code == 200


def test_a_page_of_another_origin(run) -> None:
    with client_of(run, cors=["https://shop.example"]) as client:
        asks = {"origin": "https://shop.example", "access-control-request-method": "POST",
                "access-control-request-headers": "content-type,x-api-key"}  # fmt: skip
        answer = client.ask("OPTIONS", "/v1/recommend", headers=asks)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        answer = client.post("/v1/recommend", ASKED, headers={"origin": "https://shop.example"})
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        answer = client.post("/v1/recommend", {"k": 0}, headers={"origin": "https://other.example"})
        assert "access-control-allow-origin" not in answer.headers
    with client_of(run) as client:
        answer = client.post("/v1/recommend", ASKED, headers={"origin": "https://shop.example"})
        assert "access-control-allow-origin" not in answer.headers


def test_draining_says_so(run) -> None:
    service = Service(run, ServiceOptions())
    service.start()
    loop = asyncio.new_event_loop()
    transport = httpx.ASGITransport(make_app(service))

    async def ask() -> None:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            assert (await http.get("/health/ready")).status_code == 200
            service.draining = True
            answer = await http.get("/health/ready")
            assert (answer.status_code, answer.headers["connection"]) == (503, "close")
            assert (await http.get("/health/live")).status_code == 200
            assert (await http.post("/v1/recommend", json=ASKED)).status_code == 200

    loop.run_until_complete(ask())
    loop.close()
    service.stop()
