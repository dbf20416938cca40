"""How tests change sealed documents so that only what they changed is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mltfr.storage.sealed import sealed, unsealed


def change_sealed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a sealed document, and seal it again."""
    document = unsealed(json.loads(path.read_text()))
    change(document)
    path.write_text(json.dumps(sealed(document)))
