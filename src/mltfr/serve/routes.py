"""Routes: what may be asked of a service, and how."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from mltfr.serve.answers import as_problems, similar_body
from mltfr.serve.body import JsonRoute
from mltfr.serve.docs_page import docs_page
from mltfr.serve.document import documented
from mltfr.serve.explain_body import explain_body
from mltfr.serve.info import info
from mltfr.serve.interactions_body import accept
from mltfr.serve.looked_up import histories_body, items_body
from mltfr.serve.looked_up_schemas import HistoriesAnswer, HistoriesRequest, ItemsAnswer
from mltfr.serve.metrics import TEXT
from mltfr.serve.problems import Problem, later, problem_response
from mltfr.serve.schemas import (
    ExplainAnswer,
    ExplainRequest,
    Health,
    InteractionsAnswer,
    InteractionsRequest,
    RecommendAnswer,
    RecommendRequest,
    SimilarAnswer,
    SimilarRequest,
)
from mltfr.serve.service import Service

JSON = "application/json"
MOST_FOUND = 100
"""Items that a search returns, at most."""
OPEN = {"body": False, "key": False}
guarded = APIRouter(prefix="/v1", route_class=JsonRoute)
public = APIRouter()


@guarded.post("/recommend", summary="Recommend items", responses=documented(RecommendAnswer, 404, 409))
async def recommend(request: Request, body: RecommendRequest) -> Response:
    """Return the best items of known users, of raw histories, or of both.

    One history or many: requests that wait at the same time go through the model together. What was skipped, fell back
    to popularity or was cut is said in the answer.
    """
    service = _service(request)
    _check_size("users", len(body.users), service.options.max_histories)
    _check_size("histories", len(body.histories), service.options.max_histories)
    _check_k(body.k, service)
    return Response(await service.ask(request, body, await _size(request)), media_type=JSON)


@guarded.post("/similar-items", summary="Find similar items", responses=documented(SimilarAnswer, 404, 409))
async def similar_items(request: Request, body: SimilarRequest) -> Response:
    """Return the items that are most similar to some items."""
    service = _service(request)
    _check_size("items", len(body.items), service.options.max_histories)
    _check_k(body.k, service)
    answer = await service.ask(request, partial(similar_body, body), await _size(request))
    return Response(answer, media_type=JSON)


@guarded.post("/explain", summary="Explain recommendations", responses=documented(ExplainAnswer, 404, 409))
async def explain(request: Request, body: ExplainRequest) -> Response:
    """Return why items stand where they stand: what the items of a history do to their scores, and how well that holds.

    Every explanation has many histories go through the model, so few are asked for at a time.
    """
    service = _service(request)
    _check_size("users", len(body.users), service.options.max_explained)
    _check_size("histories", len(body.histories), service.options.max_explained)
    work = partial(explain_body, body, service.interactions)
    return Response(await service.ask(request, work, await _size(request)), media_type=JSON)


@guarded.get("/items", summary="Search items", responses=documented(ItemsAnswer, 409, 422, 504, body=False))
async def items(
    request: Request,
    query: Annotated[str, Query(max_length=200, description="Words of an id or a name.")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_FOUND, description="Items, at most.")] = 20,
    new_items: Annotated[Literal["true", "false"], Query(description="Whether new items are found too.")] = "false",
) -> Response:
    """Return items whose ids or names hold the words, those that begin with them first; without any, the most popular.

    Case and accents do not matter. Names are known where the service was given them.
    """
    work = partial(items_body, query, limit, new_items == "true")
    return Response(await _service(request).ask(request, work, 0), media_type=JSON)


@guarded.post("/histories", summary="Return histories", responses=documented(HistoriesAnswer, 404, 409))
async def histories(request: Request, body: HistoriesRequest) -> Response:
    """Return what users of the log chose, with what was sent since the training."""
    service = _service(request)
    _check_size("users", len(body.users), service.options.max_histories)
    _check_k(body.k, service)
    work = partial(histories_body, body, service.interactions)
    return Response(await service.ask(request, work, await _size(request)), media_type=JSON)


@guarded.post("/interactions", summary="Send what users chose", responses=documented(InteractionsAnswer))
async def interactions(request: Request, body: InteractionsRequest) -> Response:
    """Extend the histories of users by what they chose since the training, at once.

    Users need not be known. The interactions are kept in memory, up to a number; what is in a later run is dropped when
    that run is loaded.
    """
    service = _service(request)
    with as_problems():
        document = accept(body, service)
    return Response(json.dumps(document, ensure_ascii=False), media_type=JSON)


@guarded.get("/info", summary="Describe the run", responses=documented(dict[str, Any], body=False))
async def describe(request: Request) -> Response:
    """Return what the run is: its fingerprint, protocol, test score with that of its zero branch, tables and limits."""
    return Response(json.dumps(info(_service(request)), ensure_ascii=False), media_type=JSON)


@public.get("/health/live", summary="Say whether the process works", responses=documented(Health, **OPEN))
async def live(request: Request) -> Response:
    """Answer 200 as long as the service works; 503 means that it has to be started again."""
    if not _service(request).alive:
        return problem_response(Problem(503, "The inference thread has ended. Start the service again."))
    return Response('{"status":"alive"}', media_type=JSON)


@public.get("/health/ready", summary="Say whether requests are taken", responses=documented(Health, **OPEN))
async def ready(request: Request) -> Response:
    """Answer 200 when requests are taken; 503 while the service stops."""
    service = _service(request)
    if not service.ready:
        return problem_response(later(503, "The service stops." if service.draining else "The service does not work."))
    return Response('{"status":"ready"}', media_type=JSON)


@public.get("/metrics", summary="Count and measure", responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Return metrics in Prometheus' format."""
    return Response(_service(request).metrics.text(), headers={"Content-Type": TEXT})


@public.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Return a page that describes all this; it loads nothing."""
    return HTMLResponse(docs_page(request.app.openapi(), request.scope.get("root_path", "")))


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _size(request: Request) -> int:
    return len(await request.body())


def _check_k(k: int, service: Service) -> None:
    most = service.options.max_k
    if k > most:
        detail = f"k is {k if k < 10**12 else 'too large'}; this service allows 1 to {most:,}."
        raise Problem(422, detail, [{"detail": detail, "pointer": "/k"}])


def _check_size(name: str, count: int, most: int) -> None:
    if count > most:
        detail = f"{name} has {count:,} entries; this service allows {most:,} in one request. Send several."
        raise Problem(422, detail, [{"detail": detail, "pointer": f"/{name}"}])
