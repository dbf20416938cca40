"""Seconds as people say them."""

from __future__ import annotations

import re

from mltfr.errors import ConfigError

UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)", re.IGNORECASE)


def duration(seconds: float) -> str:
    """Return seconds as a few words: "12 s", "10 minutes", "4.5 hours"."""
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 100 * 60 else f"{seconds / 3600:.1f} hours"


def seconds_of(text: str, where: str) -> float:
    """Return the seconds of a text such as "90s", "30m" or "1h30m".

    Args:
        text: numbers with their units.
        where: the option, for messages.

    Raises:
        ConfigError: it is no time, or not above zero.
    """
    found = _SPAN.findall(text)
    total = sum(float(number) * UNITS[unit.lower()] for number, unit in found)
    if not found or _SPAN.sub("", text).strip() or total <= 0:
        raise ConfigError(f"{where} {text!a} is no time. Give a number with its unit: 90s, 30m, 2h, or 1h30m.")
    return total
