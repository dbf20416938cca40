"""Bodies of requests: JSON of a bounded size, within a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

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
    """A route that reads its requests as `JsonRequest`.

    A body is checked by its model and handed to the endpoint: FastAPI's way there, for endpoints with dependencies,
    would take longer than all else that the event loop does for a request.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handler, endpoint = super().get_route_handler(), self.endpoint
        model: Any = get_type_hints(endpoint).get("body")

        async def read(request: Request) -> Response:
            return await handler(JsonRequest(request.scope, request.receive))

        async def read_body(request: Request) -> Response:
            given = JsonRequest(request.scope, request.receive)
            response: Response = await endpoint(given, await _checked(given, model))
            return response

        return read if model is None else read_body


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
