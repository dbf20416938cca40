"""Text on its way to a terminal: what steers one, or hides text, is shown escaped."""

from __future__ import annotations

import re

_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters: escape sequences begin with one
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f"  # direction, or nothing to see
    "\ud800-\udfff]"  # bytes of a file name or argument that are no text
)


def printable(text: str) -> str:
    """Return one line that a terminal shows and does not obey: `\\x1b` for an escape, `\\n` for a line's end."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
