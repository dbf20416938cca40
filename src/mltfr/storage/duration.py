"""Seconds as people say them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return seconds as a few words: "12 s", "10 minutes", "4.5 hours"."""
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 100 * 60 else f"{seconds / 3600:.1f} hours"
