"""Names of token tables, which become file names."""

from __future__ import annotations

import re

from mltfr.errors import TokenTableError, shown

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def is_name(name: str) -> bool:
    """Return whether a table's name can be a file name everywhere."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Check that a table's name can be a file name everywhere.

    Raises:
        TokenTableError: it cannot.
    """
    if not is_name(name):
        raise TokenTableError(
            f"{shown(name)} cannot be a token table's name. Allowed: small letters, digits, '.', '_' and '-', 100 at "
            "most, the first a letter or a digit."
        )
