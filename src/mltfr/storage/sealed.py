"""Sealed documents: JSON objects that carry their own checksum, so that no changed value passes for another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "checksum"
"""The last field of a sealed document: the SHA-256 of the others."""


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with its checksum as the last field."""
    return {**document, SEAL: _digest(document)}


def unsealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was sealed.

    Raises:
        ValueError: it has no checksum, or has changed since it was sealed.
    """
    content = dict(document)
    if content.pop(SEAL, None) != _digest(content):
        raise ValueError("its checksum differs")
    return content


def _digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document's JSON, which is the same after it was written and read."""
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()
