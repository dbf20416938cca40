"""Pydantic's adapters of classes: what checks their fields, and writes objects of them as plain values."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter

_made = cache(TypeAdapter)


def adapter_of(kind: type) -> TypeAdapter[Any]:
    """Return the adapter of a class, made once: making one takes milliseconds."""
    return _made(kind)
