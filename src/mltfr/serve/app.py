"""The app: routes, errors as problems, and the gate, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from mltfr.serve.body import JsonBodies
from mltfr.serve.document import set_document
from mltfr.serve.gate import Gate
from mltfr.serve.keys import Keys
from mltfr.serve.page_files import page as page_routes
from mltfr.serve.problems import Problem, problem_response
from mltfr.serve.routes import guarded, public
from mltfr.serve.schemas import AS_LIST, BY_ID
from mltfr.serve.service import FAULT, Service

SHOWN_ERRORS = 20
"""Errors that an answer lists, at most."""


def make_app(
    service: Service,
    keys: Keys | None = None,
    cors: Sequence[str] = (),
    metrics: bool = True,
    page: bool = True,
) -> ASGIApp:
    """Return the app of a service: what every request goes through is outside, the routes are inside.

    Args:
        service: what answers; the caller starts and stops it.
        keys: the API keys.
        cors: origins whose pages may ask.
        metrics: whether `/metrics` is among the paths.
        page: whether the page for people is, at `/`.
    """
    keys = keys or Keys()
    app = FastAPI(title="mltfr", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.service = service
    for route in (*guarded.routes, *public.routes, *(page_routes.routes if page else ())):
        if metrics or getattr(route, "path", "") != "/metrics":
            app.router.routes.append(route)
    for kind in (Exception, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _handle)
    set_document(app, service.options, keys)
    gate = Gate(JsonBodies(app, guarded.routes, answer_error), service, keys)
    if not cors:
        return gate
    return CORSMiddleware(
        gate, allow_origins=list(cors), allow_methods=["GET", "POST"], allow_headers=["X-API-Key", "Authorization"]
    )


def answer_error(error: Exception) -> Response:
    """Return the answer to a request that cannot be answered otherwise: a problem."""
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if not isinstance(error, HTTPException):
        return problem_response(Problem(500, FAULT))
    if not isinstance(error, Problem):
        details = {404: "There is no such path. See /docs.", 405: "The path does not take this method. See Allow."}
        error = Problem(error.status_code, details.get(error.status_code, error.detail), headers=error.headers)
    return problem_response(error)


async def _handle(request: Request, error: Exception) -> Response:
    return answer_error(error)


def _invalid(error: RequestValidationError) -> Response:
    """Answer a request whose fields are not what they should be: where each error is, and not what was sent."""
    errors = [_single(each) for each in error.errors()[:SHOWN_ERRORS]]
    first = errors[0]
    where = f"{first['pointer'].replace('/', '.').lstrip('.')}: " if first.get("pointer") else ""
    detail = f"{where}{first['detail']}." + (f" ({len(error.errors())} errors)" if len(error.errors()) > 1 else "")
    return problem_response(Problem(422, detail, errors))


def _single(error: Mapping[str, Any]) -> dict[str, str]:
    keys = [str(key) for key in error["loc"][1:] if key not in (AS_LIST, BY_ID)]  # the first one says: the body
    place = [key.replace("~", "~0").replace("/", "~1")[:80] for key in keys]
    message = str(error["msg"]).removeprefix("Value error, ")
    return {"detail": message, "pointer": "".join(f"/{each}" for each in place)} if place else {"detail": message}
