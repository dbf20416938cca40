"""Keys open a service; neither they nor ids are in its log; metrics count every request, and hold none of its words."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mltfr.errors import ConfigError
from mltfr.serve.keys import Keys, Rate
from mltfr.serve.log import HELD, NAME, log, start_log, write_log
from mltfr.serve.server import check_origins
from support.service import KEY, client_of

ASKED = {"histories": [["i3", "i9"]], "k": 3}


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-api-key": "wrong"}, {"x-api-key": ""}, {"x-api-key": KEY + "x"}, {"authorization": f"Basic {KEY}"},
     {"authorization": "Bearer"}, {"authorization": KEY}, {"x-api-key": "\x80\xff".encode("latin-1")}],
)  # fmt: skip
def test_without_the_key(run, headers) -> None:
    with client_of(run, Keys([KEY])) as client:
        document = client.get("/openapi.json", headers=headers).json()
        guarded = [(method, path) for path, methods in document["paths"].items() for method in methods
                   if path.startswith("/v1/")]  # fmt: skip
        assert len(guarded) == 7
        for method, path in [*guarded, ("get", "/v1/nothing")]:
            answer = client.ask(method.upper(), path, headers=headers, json=ASKED)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == "application/problem+json"
        for path in ("/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"):
            assert client.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [{"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"},
                                     {"authorization": f"bearer {KEY}"}, {"x-api-key": "the-second-key"}])  # fmt: skip
def test_with_the_key(run, headers) -> None:
    with client_of(run, Keys([KEY, "the-second-key"])) as client:
        assert client.post("/v1/recommend", ASKED, headers=headers).status_code == 200


def test_keys_of_a_file_and_of_the_environment(tmp_path, monkeypatch) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# of the shop\n{KEY}\n\n  another-key  \n")
    keys = Keys.read(path)
    assert [keys.who({b"x-api-key": key.encode()}) for key in (KEY, "another-key", "# of the shop")] == [0, 1, None]
    assert KEY not in repr(keys) + repr(vars(keys))
    assert not Keys.read(None)
    monkeypatch.setenv("MLTFR_API_KEY", KEY)
    assert Keys.read(None).who({b"x-api-key": KEY.encode()}) == 0
    for text in ("", "# none", "short", "with a space", "schlüssel-schlüssel"):
        path.write_text(text)
        with pytest.raises(ConfigError) as error:
            Keys.read(path)
        assert "schlüssel" not in str(error.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        Keys.read(tmp_path / "nothing")


def test_a_file_of_keys_may_begin_with_a_byte_order_mark(tmp_path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# of the shop\n{KEY}\n", encoding="utf-8-sig")
    assert Keys.read(path).who({b"x-api-key": KEY.encode()}) == 0


def test_an_origin_that_no_browser_sends_is_refused() -> None:
    check_origins(["https://shop.example", "http://127.0.0.1:3000", "http://[::1]:8080", "*", "null"])
    check_origins(["chrome-extension://abcdef", "safari-web-extension://2A0A1F5A-0B", "capacitor://localhost"])
    for wrong in (
        "https://shop.example/",
        "https://shop.example/page",
        "shop.example",
        "https://Shop.example",
        "",
        "https://*.shop.example",
        "https://shop.example:443",
        "https://a.example,b.example",
    ):
        with pytest.raises(ConfigError, match=r"^--cors '.*' is no origin\. Expected one as browsers send it"):
            check_origins([wrong])


def test_each_key_has_its_rate(run) -> None:
    with client_of(run, Keys([KEY, "the-second-key"]), rate=0.5) as client:
        mine = {"headers": {"x-api-key": KEY}}
        assert client.post("/v1/recommend", ASKED, **mine).status_code == 200
        answer = client.post("/v1/recommend", ASKED, **mine)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        assert client.post("/v1/recommend", ASKED, headers={"x-api-key": "the-second-key"}).status_code == 200
        assert client.get("/health/live").status_code == 200


def test_a_bucket_fills_again(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("mltfr.serve.keys.monotonic", lambda: now[0])
    rate = Rate(10)
    assert [rate.wait(None) for _ in range(10)] == [0] * 10
    assert rate.wait(None) == pytest.approx(0.1)
    now[0] = 0.3
    assert [rate.wait(None) == 0 for _ in range(4)] == [True] * 3 + [False]


@pytest.fixture
def service_log():
    """Return what begins the log of a service, which ends with the test."""
    yield start_log
    for name in (NAME, "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


def test_the_log_holds_no_key_and_no_id(run, capsys, monkeypatch, service_log) -> None:
    items = [f"item-{number}-of-the-test" for number in range(1000)]

    def fault(*_: object) -> None:
        raise RuntimeError(f"{items[0]} {KEY}")

    service_log("debug")
    with client_of(run, Keys([KEY]), max_k=50) as client:
        headers = {"x-api-key": KEY, "x-request-id": "mine-1"}
        answer = client.post("/v1/recommend", {"histories": [items]}, headers=headers)
        assert answer.headers["x-request-id"] == "mine-1"
        client.post("/v1/recommend", {"users": items[:50]}, headers=headers)
        client.post("/v1/recommend", {"histories": {item: [1.5] for item in items}}, headers=headers)
        client.post("/v1/similar-items", {"items": items[:9]}, headers=headers)
        chosen = [{"user_id": item, "item_id": item} for item in items]
        client.post("/v1/interactions", {"interactions": chosen}, headers=headers)
        client.get(f"/v1/{items[0]}", headers=headers)
        client.get("/v1/info", headers={"x-api-key": "wrong-" + KEY, "x-request-id": KEY + " "})
        monkeypatch.setattr("mltfr.serve.service.asked_of", fault)
        client.post("/v1/recommend", {"histories": [items]}, headers=headers)
        metrics = client.get("/metrics").text
    write_log()
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    assert {"time", "level", "event", "id", "method", "route", "status", "ms"} <= lines[0].keys()
    assert any(line.get("error") == "RuntimeError" and line["where"] for line in lines)
    for text in (written, metrics):
        assert KEY not in text
        assert not [item for item in items if item in text]


def test_lines_about_requests_are_held_until_something_else_is_written(capsys, service_log) -> None:
    service_log("info")
    log(logging.INFO, "request", id="one")
    assert not capsys.readouterr().err
    write_log()
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["id"], line["level"]) == ("one", "info")
    assert abs(datetime.fromisoformat(line["time"]) - datetime.now(UTC)) < timedelta(minutes=1)
    log(logging.DEBUG, "request", id="below the level")
    for number in range(HELD + 1):
        log(logging.INFO, "request", id=number)
    assert [json.loads(line)["id"] for line in capsys.readouterr().err.splitlines()] == list(range(HELD))
    log(logging.WARNING, "request", id="refused")
    assert [json.loads(line)["id"] for line in capsys.readouterr().err.splitlines()] == [HELD, "refused"]
    log(logging.INFO, "request", id="two")
    log(logging.INFO, "listening")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("id", line["event"]) for line in lines] == ["two", "listening"]
    closed = io.StringIO()
    closed.close()
    logging.getLogger(NAME).handlers[0].stream = closed
    log(logging.WARNING, "nobody reads this")  # and nobody is hurt


def test_lines_that_come_while_others_are_written_are_written_later(service_log, monkeypatch) -> None:
    class Busy(io.StringIO):
        def write(self, text: str) -> int:
            if "meanwhile" not in text:
                log(logging.INFO, "request", id="meanwhile")
            return super().write(text)

    monkeypatch.setattr("sys.stderr", stream := Busy())
    service_log("info")
    log(logging.INFO, "request", id="first")
    for _ in range(2):
        write_log()
    assert [json.loads(line)["id"] for line in stream.getvalue().splitlines()] == ["first", "meanwhile"]


def test_somebody_elses_handler_gets_every_line(caplog) -> None:
    with caplog.at_level(logging.INFO, NAME):
        log(logging.INFO, "request", id="one")
    assert [record.fields for record in caplog.records] == [{"id": "one"}]


def test_every_request_without_an_id_gets_one_of_its_own(run) -> None:
    with client_of(run) as client:
        given = [client.get("/health/live").headers["x-request-id"] for _ in range(20)]
    assert len(set(given)) == 20
    assert {len(each) for each in given} == {16}


def test_metrics_count_every_request(run) -> None:
    with client_of(run) as client:
        client.recommend(histories=[["i3"], ["nope"], []])
        client.post("/v1/recommend", {"k": 0})
        client.post("/v1/similar-items", {"items": ["nope-1"]})
        client.get("/words-of-a-request?more=words-of-a-query")
        client.ask("BREW", "/docs")
        client.get("/health/live")
        client.together([("POST", "/v1/recommend", {"json": ASKED})] * 20)
        text = client.get("/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {name: [s for s in samples if s.name == name] for name in {s.name for s in samples}}
    assert sum(sample.value for sample in values["mltfr_http_requests_total"]) == 26
    assert sum(sample.value for sample in values["mltfr_http_request_duration_seconds_count"]) == 26
    assert {sample.labels["route"] for sample in values["mltfr_http_requests_total"]} == {
        "/v1/recommend", "/v1/similar-items", "/docs", "/health/live", "unmatched"}  # fmt: skip
    assert {sample.labels["method"] for sample in values["mltfr_http_requests_total"]} == {"GET", "POST", "other"}
    assert [sample.value for sample in values["mltfr_fallback_total"]] == [2]
    assert [sample.value for sample in values["mltfr_unknown_items_total"]] == [1]
    assert sum(sample.value for sample in values["mltfr_batch_histories_sum"]) == 23
    assert [sample.value for sample in values["mltfr_requests_in_progress"]] == [1]
    (about,) = values["mltfr_run_info"]
    expected = {"run": run.fingerprint, "backbone": "sasrec", "fusion": "mltfr",
                "protocol": run.fitted.metrics["protocol_hash"]}  # fmt: skip
    assert (about.labels, about.value) == (expected, 1)
    assert [sample.value for sample in values["mltfr_run_loaded_timestamp_seconds"]] == [pytest.approx(run.loaded)]
    words = {value for sample in samples for value in sample.labels.values()}
    assert not {word for word in words if "words-of" in word or "nope" in word or "BREW" in word}
