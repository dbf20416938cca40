"""The OpenAPI document: what every operation may answer, its limits, and its key."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from mltfr.serve.keys import Keys
from mltfr.serve.options import ServiceOptions
from mltfr.serve.problems import PROBLEM_JSON
from mltfr.serve.schemas import ProblemDocument
from mltfr.version import __version__

OF_BODIES = (400, 408, 413, 415, 422, 504)
OF_ALL = (500, 503)
OF_KEYS = (401, 429)
SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}


def documented(model: Any, *more: int, body: bool = True, key: bool = True) -> dict[int | str, dict[str, Any]]:
    """Return what an operation may answer.

    Args:
        model: its answer.
        more: statuses of errors beside the usual ones.
        body: whether its requests have a body.
        key: whether it needs a key, where there is one.
    """
    statuses = sorted({*OF_ALL, *more, *(OF_BODIES if body else ()), *(OF_KEYS if key else ())})
    problem = {"schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}}
    errors = {
        status: {"description": HTTPStatus(status).phrase, "content": {PROBLEM_JSON: problem}} for status in statuses
    }
    return {200: {"model": model}, **errors}


def set_document(app: FastAPI, options: ServiceOptions, keys: Keys) -> None:
    """Let an app describe itself with its limits and its key."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title="mltfr", version=__version__, routes=app.routes, description="Recommendations of a fitted run."
            )
            schemas = document["components"]["schemas"]
            problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs", {}))
            schemas[ProblemDocument.__name__] = problem
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            for name in ("RecommendRequest", "SimilarRequest", "HistoriesRequest"):
                _limit(schemas[name]["properties"], options.max_histories)
                schemas[name]["properties"]["k"]["maximum"] = options.max_k
            _limit(schemas["ExplainRequest"]["properties"], options.max_explained)
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    operation["responses"] = {
                        status: answer
                        for status, answer in operation["responses"].items()
                        if status != "422" or PROBLEM_JSON in answer.get("content", {})
                    }
                    if keys and path.startswith("/v1/"):
                        operation["security"] = [{name: []} for name in SCHEMES]
            if keys:
                document["components"]["securitySchemes"] = SCHEMES
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _limit(properties: dict[str, Any], most: int) -> None:
    """Say how many users, histories or items a request may have."""
    for name in ("users", "items"):
        if properties.get(name, {}).get("type") == "array":
            properties[name]["maxItems"] = most
    for form in properties.get("histories", {}).get("oneOf", []):
        name = "maxItems" if form["type"] == "array" else "maxProperties"
        form[name] = most
        if form["type"] == "object":
            form["additionalProperties"] = False
        form[name.replace("max", "min")] = 1
