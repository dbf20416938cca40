"""The page at `/docs`: the OpenAPI document as HTML for people, without a script and without anything to load."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
pre, code { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }
section { border-top: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
"""


def docs_page(document: Mapping[str, Any], root: str = "") -> str:
    """Return the page that describes a service.

    Args:
        document: its OpenAPI document.
        root: the path under which a proxy offers it.
    """
    schemas = document["components"]["schemas"]
    guarded = bool(document["components"].get("securitySchemes"))
    key = "<p>Paths that begin with <code>/v1/</code> need a key: <code>X-API-Key: KEY</code>, or "
    key += "<code>Authorization: Bearer KEY</code>.</p>"
    sections = "".join(
        _operation(method, path, operation, schemas, root, guarded)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    title = f"{escape(document['info']['title'])} {escape(document['info']['version'])}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body><main>'
        f"<h1>{title}</h1><p>{escape(document['info'].get('description', ''))} "
        f'For programs: <a href="{escape(root)}/openapi.json">openapi.json</a>.</p>{key * guarded}'
        f"{sections}</main></body></html>"
    )


def _operation(
    method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any], root: str, guarded: bool
) -> str:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = _resolved(content.get("schema", {}), schemas)
    example = next(iter(schema.get("examples", [])), None)
    command = f"curl -s http://127.0.0.1:8000{root}{path}"
    if guarded and path.startswith("/v1/"):
        command += ' -H "X-API-Key: $MLTFR_API_KEY"'
    if example is not None:
        command += f" -H 'Content-Type: application/json' -d '{json.dumps(example)}'"
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    statuses = ", ".join(operation["responses"])
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code> {escape(operation.get('summary', ''))}</h2>"
        + "".join(f"<p>{escape(text)}</p>" for text in operation.get("description", "").split("\n\n") if text)
        + f"<pre>{escape(command)}</pre>"
        + _table("Request", schema, schemas)
        + _table("Answer", _resolved(answer, schemas), schemas)
        + f"<p>Statuses: {escape(statuses)}</p></section>"
    )


def _table(title: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    rows = "".join(_rows(schema, schemas))
    head = "<tr><th>Field</th><th>Type</th><th>Default</th><th>Meaning</th></tr>"
    return f"<h3>{title}</h3><table>{head}{rows}</table>" if rows else ""


def _rows(schema: Mapping[str, Any], schemas: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        default = json.dumps(field["default"]) if "default" in field else ""
        cells = [f"{prefix}{name}", _kind(field), default, field.get("description", "")]
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        inner = _resolved(field.get("items", field), schemas)
        if depth < 2 and inner.get("properties"):
            yield from _rows(inner, schemas, f"{prefix}{name}[].", depth + 1)


def _kind(field: Mapping[str, Any]) -> str:
    """Return the type of a field in a word or two."""
    if forms := field.get("anyOf", field.get("oneOf")):
        return " or ".join(dict.fromkeys(_kind(form) for form in forms))
    if "enum" in field:
        return " or ".join(json.dumps(value) for value in field["enum"])
    kind = str(field.get("type", "object"))
    if kind == "array":
        return f"list of {_kind(field.get('items', {}))}"
    if kind == "object" and isinstance(field.get("additionalProperties"), Mapping):
        return f"object of {_kind(field['additionalProperties'])}"
    return kind


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return schemas.get(reference.rpartition("/")[2], {}) if reference else schema
