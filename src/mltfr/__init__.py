"""Sequential recommendation with the token tables of several language models, and no text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltfr.version import __version__

__all__ = ["Recommender", "__version__", "load_interactions"]

if TYPE_CHECKING:
    from mltfr.interactions import load_interactions
    from mltfr.recommender import Recommender


def __getattr__(name: str) -> Any:  # imported on use: `import mltfr` stays fast
    if name == "Recommender":
        from mltfr.recommender import Recommender

        return Recommender
    if name == "load_interactions":
        from mltfr.interactions import load_interactions

        return load_interactions
    raise AttributeError(f"module 'mltfr' has no attribute {name!r}")
