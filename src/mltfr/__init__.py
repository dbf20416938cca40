"""Sequential recommendation with the token tables of several language models, and no text."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mltfr.version import __version__

__all__ = ["Recommender", "__version__", "load_interactions", "prepare"]

if TYPE_CHECKING:
    from mltfr.interactions import load_interactions, prepare
    from mltfr.recommender import Recommender

_ROOMS = {"Recommender": "recommender", "load_interactions": "interactions", "prepare": "interactions"}


def __getattr__(name: str) -> Any:  # imported on use: `import mltfr` stays fast
    if name in _ROOMS:
        return getattr(import_module(f"mltfr.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'mltfr' has no attribute {name!r}")
