"""Problems: what went wrong with a request, as the documents of RFC 9457 (problem details for HTTP)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

PROBLEM_JSON = "application/problem+json"
CLOSE = {"Connection": "close"}
"""Header of an answer after which a connection cannot be used again, since its request was not read to the end."""


class Problem(HTTPException):
    """A request that is answered with an error.

    Args:
        status: the HTTP status.
        detail: one sentence: what was given, and what is expected.
        errors: the single errors: `detail`, and `pointer` (RFC 6901, into the request) or `id` where there is one.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.errors = list(errors)


def problem_response(problem: HTTPException) -> Response:
    """Return the answer that says what went wrong."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
    }
    if isinstance(problem, Problem) and problem.errors:
        document["errors"] = problem.errors
    content = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, problem.status_code, problem.headers, PROBLEM_JSON)


def later(status: int, detail: str, seconds: float = 1) -> Problem:
    """Return the problem of a request that may be sent again, after so many seconds."""
    return Problem(status, detail, headers={"Retry-After": str(max(1, round(seconds)))})
