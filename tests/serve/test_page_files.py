"""The page's files: what a browser is told about them."""

from __future__ import annotations

import pytest

from mltfr.serve.keys import Keys
from support.service import KEY, client_of
from support.valid_html import faults

FILES = {"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript"}


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_kept_as_long_as_it_stays_the_same(client, path) -> None:
    answer = client.get(path)
    assert answer.headers["content-type"] == f"{FILES[path]}; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    tag = answer.headers["etag"]
    for known in (tag, f'"other", W/{tag}'):
        again = client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_the_page_may_run_its_own_script_alone(client) -> None:
    policy = client.get("/").headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(policy)
    assert not any("unsafe" in each or "http" in each or "*" in each for each in policy)
    for path in FILES:
        text = client.get(path).text
        assert "http:" not in text
        assert "https:" not in text
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert dangerous not in client.get("/page.js").text


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_are_valid_html(client, path) -> None:
    assert faults(client.get(path).text) == []


def test_the_page_needs_no_key_and_can_be_left_out(run) -> None:
    with client_of(run, Keys([KEY])) as closed:
        assert [closed.get(path).status_code for path in FILES] == [200, 200, 200]
        assert closed.get("/v1/items").status_code == 401
        assert "/page.js" not in closed.get("/openapi.json").json()["paths"]
    with client_of(run, page=False) as bare:
        assert [bare.get(path).status_code for path in FILES] == [404, 404, 404]
