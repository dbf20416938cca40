"""Bodies of requests: JSON of a bounded size, within a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, get_type_hints

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from mltfr.serve.options import ServiceOptions
from mltfr.serve.problems import CLOSE, Problem
from mltfr.storage.parse import parse_json


class JsonRequest(Request):
    """A request whose body is JSON."""

    _text: bytes | None = None

    async def body(self) -> bytes:
        """Return the body.

        Raises:
            Problem: it is not announced as JSON (415), is too large (413), or takes too long (408).
        """
        if self._text is None:
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                detail = "Expected a body of JSON, with the header Content-Type: application/json."
                raise Problem(415, detail, headers=CLOSE)
            options: ServiceOptions = self.app.state.service.options
            length = self.headers.get("content-length", "")
            if length.isdecimal() and int(length[:20]) > options.max_body:
                raise _too_large(options)
            try:
                async with asyncio.timeout(options.body_timeout):
                    self._text = await self._read(options)
            except TimeoutError:
                detail = f"The body did not arrive within {options.body_timeout:g} s."
                raise Problem(408, detail, headers=CLOSE) from None
            except ClientDisconnect:
                raise Problem(400, "The body ended too early.", headers=CLOSE) from None
        return self._text

    async def json(self) -> Any:
        """Return the value of the body.

        Raises:
            Problem: it is not JSON (400).
        """
        try:
            return parse_json(await self.body(), parse_float=_number)
        except ValueError as error:
            raise Problem(400, f"The body is not JSON: {' '.join(str(error).split())[:200]}.") from None

    async def _read(self, options: ServiceOptions) -> bytes:
        chunks, size = [], 0
        async for chunk in self.stream():
            size += len(chunk)
            if size > options.max_body:
                raise _too_large(options)
            chunks.append(chunk)
        return b"".join(chunks)


class JsonRoute(APIRoute):
    """A route whose endpoint gets the body of a request, read as `JsonRequest` and checked by its model.

    FastAPI's own way there is made for dependencies, and takes longer than all else that the event loop does for a
    request.
    """

    @property
    def model(self) -> type[BaseModel] | None:
        """The model of the body; None where the endpoint takes none."""
        return get_type_hints(self.endpoint).get("body")

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        endpoint, model = self.endpoint, self.model
        if model is None:
            return super().get_route_handler()

        async def handle(request: Request) -> Response:
            given = JsonRequest(request.scope, request.receive)
            response: Response = await endpoint(given, await _checked(given, model))
            return response

        return handle


class JsonBodies:
    """ASGI app that hands what is posted to a `JsonRoute` to it at once, and all other requests to FastAPI.

    Args:
        app: what answers all other requests.
        routes: the app's routes.
        answer_error: turns an error of a request into its answer.
    """

    def __init__(
        self,
        app: FastAPI,
        routes: Iterable[BaseRoute],
        answer_error: Callable[[HTTPException | RequestValidationError], Response],
    ) -> None:
        self.app, self.answer_error = app, answer_error
        found = (route for route in routes if isinstance(route, JsonRoute) and route.model is not None)
        self.routes = {route.path: (route, route.get_route_handler()) for route in found}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        posted = scope["type"] == "http" and scope["method"] == "POST"
        found = self.routes.get(path_of(scope)) if posted else None
        if found is None:
            await self.app(scope, receive, send)
            return
        scope["app"], (scope["route"], handle) = self.app, found
        try:
            response = await handle(Request(scope, receive))
        except (HTTPException, RequestValidationError) as error:
            response = self.answer_error(error)
        await response(scope, receive, send)


def path_of(scope: Scope) -> str:
    """Return the path of a request below the one at which a proxy offers the service."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


async def _checked(request: JsonRequest, model: type[BaseModel]) -> BaseModel:
    """Return the body of a request as its model.

    Raises:
        RequestValidationError: there is none, or it is not what it should be.
    """
    if not await request.body():
        raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required"}])
    try:
        return model.model_validate(await request.json(), from_attributes=True)
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in error.errors()]) from None


def _number(text: str) -> float | int:
    """Return a number with a point or an exponent; a whole one is the same as without."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _too_large(options: ServiceOptions) -> Problem:
    detail = f"The body has more than {options.max_body:,} bytes. Send fewer histories at a time."
    return Problem(413, detail, headers=CLOSE)
