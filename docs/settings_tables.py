"""Markdown tables, and those of the settings of a config model."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mltfr.report.markdown import markdown_rows

SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
NOT_SET = "not set"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    names = list(header)
    cells = ([" ".join(cell.replace("|", "\\|").split()) for cell in row] for row in rows)
    return markdown_rows(names, cells, [False] * len(names))


def value(given: Any) -> str:
    """Return a setting as it is written in TOML."""
    if isinstance(given, BaseModel):
        given = given.model_dump(mode="json")
    if isinstance(given, tuple):
        given = list(given)
    return NOT_SET if given is None else f"`{json.dumps(given, ensure_ascii=False)}`"


def allowed(field: FieldInfo) -> str:
    """Return what a setting may be: its choices, its range, or its type."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    optional = get_origin(field.annotation) is not tuple and type(None) in get_args(field.annotation)
    kind = kinds[0] if optional and len(kinds) == 1 else field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(value(choice) for choice in get_args(kind))
    if get_origin(kind) is not tuple and any(get_origin(part) is Literal for part in kinds):
        return " or ".join(allowed(FieldInfo.from_annotation(part)) for part in kinds)
    metadata = [*field.metadata, *getattr(kind, "__metadata__", ())]
    kind = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
    names: dict[Any, str] = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}
    names[tuple[str, ...]] = "list of texts"
    if kind == tuple[str, ...]:
        text = "list of texts"
    elif get_origin(kind) is tuple and get_origin(get_args(kind)[0]) is Literal:
        text = f"list of {', '.join(value(choice) for choice in get_args(get_args(kind)[0]))}"
    elif get_origin(kind) is tuple:
        number = get_args(kind)[0]
        text = "list of numbers" if getattr(number, "__origin__", number) is float else "list of whole numbers"
    else:
        text = names.get(kind, " or ".join(names.get(part, "") for part in kinds).strip())
    limits = [f"{SIGNS[sign]} {getattr(m, sign):,}" for m in metadata for sign in SIGNS if hasattr(m, sign)]
    patterns = [f"`{m.pattern}`" for m in metadata if getattr(m, "pattern", None)]
    return ", ".join([text, *limits, *patterns])


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings that stand below the fields of a config model, and of those that it is derived from.

    A field that is declared again without one keeps its text. Generic models have no source of their own.
    """
    found = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            (written,) = ast.parse(dedent(inspect.getsource(kind))).body
            for field, below in pairwise(written.body):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                        found[name] = inspect.cleandoc(text)
    return {name: found[name] for name in model.model_fields if name in found}


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[list[str]]:
    """Yield a row for every setting of a config model; those of nested models get dotted keys."""
    meaning = meanings(model)
    for name, field in model.model_fields.items():
        kind = field.annotation
        if name == "name":
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings(kind, f"{prefix}{name}.")
            continue
        default = "required" if field.is_required() else value(field.get_default(call_default_factory=True))
        yield [f"`{prefix}{name}`", default, allowed(field), meaning[name]]


def settings_table(model: type[BaseModel], prefix: str = "") -> str:
    """Return the table of a model's settings, or a line that says there are none."""
    rows = list(settings(model, prefix))
    return table(("key", "default", "allowed", "meaning"), rows) if rows else "It has no settings."
