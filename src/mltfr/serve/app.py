"""The app: routes, errors as problems, and the gate, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from mltfr.serve.document import set_document
from mltfr.serve.gate import Gate
from mltfr.serve.keys import Keys
from mltfr.serve.page_files import page as page_routes
from mltfr.serve.problems import Problem, problem_response
from mltfr.serve.routes import guarded, public
from mltfr.serve.schemas import AS_LIST, BY_ID
from mltfr.serve.service import Service

SHOWN_ERRORS = 20
"""Errors that an answer lists, at most."""


def make_app(
    service: Service,
    keys: Keys | None = None,
    cors: Sequence[str] = (),
    metrics: bool = True,
    page: bool = True,
) -> FastAPI:
    """Return the app of a service.

    Args:
        service: what answers; the caller starts and stops it.
        keys: the API keys.
        cors: origins whose pages may ask.
        metrics: whether `/metrics` is among the paths.
        page: whether the page for people is, at `/`.
    """
    keys = keys or Keys()
    middleware = [Middleware(Gate, service=service, keys=keys)]
    if cors:
        how: dict[str, Any] = {"allow_methods": ["GET", "POST"], "allow_headers": ["X-API-Key", "Authorization"]}
        middleware.insert(0, Middleware(CORSMiddleware, allow_origins=list(cors), **how))
    app = FastAPI(title="mltfr", docs_url=None, redoc_url=None, middleware=middleware, redirect_slashes=False)
    app.state.service = service
    for route in (*guarded.routes, *public.routes, *(page_routes.routes if page else ())):
        if metrics or getattr(route, "path", "") != "/metrics":
            app.router.routes.append(route)
    app.add_exception_handler(HTTPException, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    set_document(app, service.options, keys)
    return app


async def _problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if not isinstance(error, Problem):
        details = {404: "There is no such path. See /docs.", 405: "The path does not take this method. See Allow."}
        error = Problem(error.status_code, details.get(error.status_code, error.detail), headers=error.headers)
    return problem_response(error)


async def _invalid(request: Request, error: Exception) -> Response:
    """Answer a request whose fields are not what they should be: where each error is, and not what was sent."""
    if not isinstance(error, RequestValidationError):
        raise error
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
