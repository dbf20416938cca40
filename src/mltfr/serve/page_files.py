"""The page at `/`: three files of this package, which a browser keeps as long as they stay the same."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may do (Content Security Policy): run its own script, and speak with the service that it came from."""
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
page = APIRouter(include_in_schema=False)


@page.get("/")
async def index(request: Request) -> Response:
    """Return the page for people."""
    return _answer(request, "index.html", "text/html")


@page.get("/page.css")
async def style(request: Request) -> Response:
    """Return its style."""
    return _answer(request, "page.css", "text/css")


@page.get("/page.js")
async def script(request: Request) -> Response:
    """Return its script."""
    return _answer(request, "page.js", "text/javascript")


def _answer(request: Request, name: str, kind: str) -> Response:
    content, tag = _file(name)
    headers = {**HEADERS, "ETag": tag}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=kind)


@cache
def _file(name: str) -> tuple[bytes, str]:
    content = (files("mltfr.serve") / "page" / name).read_bytes()
    return content, f'"{sha256(content).hexdigest()[:32]}"'
