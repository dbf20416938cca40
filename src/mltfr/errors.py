"""Errors that a user can act on: each says what was given, what is allowed and what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from shlex import quote
from subprocess import list2cmdline

MAX_MESSAGE = 4000
"""Characters of an error's text; what it quotes may be longer, and is cut then."""
CLOSE = 0.65
"""Similarity of two names, 0 to 1, from which one may be the other misspelt."""


class MltfrError(Exception):
    """Base of all errors that mltfr raises on purpose; the command line prints them as one line."""

    exit_code = 2

    def __str__(self) -> str:
        text, half = super().__str__(), MAX_MESSAGE // 2
        return text if len(text) <= MAX_MESSAGE else f"{text[:half]} ... {text[-half:]}"  # the remedy comes last


class DataError(MltfrError):
    """An interaction log, or another input file, is not what it should be."""


class ConfigError(MltfrError):
    """A setting, or a combination of settings, is not allowed."""


class TokenTableError(MltfrError):
    """A token table is unknown, damaged, or cannot be fetched."""


class FetchError(MltfrError):
    """A file could not be fetched."""


class ChecksumError(MltfrError):
    """What was fetched is not the file that the catalogue knows; no other source makes up for that."""


class RunError(MltfrError):
    """A run folder is missing, damaged, or from another version."""


class ProtocolError(MltfrError):
    """Numbers of different protocols were about to be compared."""


class OutputError(MltfrError):
    """A result could not be written."""


class MissingExtraError(MltfrError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed. Install it with: pip install 'mltfr[{extra}]'")


class MltfrWarning(UserWarning):
    """Something was done otherwise than asked, and the user should know; printed as one line."""


def shown(value: object, limit: int = 80) -> str:
    """Return a value as an error message quotes it: as Python writes it, cut where it is longer than `limit`."""
    if isinstance(value, str) and len(value) > limit:
        value, end = value[:limit], "..."
    else:
        end = ""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; lists without end
        return f"a {type(value).__name__} too long to show"
    return text + end if len(text) <= 2 * limit else f"{text[:limit]}..."


def closest(given: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that is most likely meant, or None: by initials (`lr`), misspelt, or begun (`val`)."""
    given, names = given[:80], sorted(allowed)
    if 1 < len(given) < 5:
        initials = {"".join(part[0] for part in re.findall(r"[^\W_]+", name)): name for name in names}
        if given.lower() in initials:
            return initials[given.lower()]
    if close := get_close_matches(given, names, n=1, cutoff=CLOSE):
        return close[0]
    begun = re.compile(rf"(?<![^\W_]){re.escape(given)}", re.IGNORECASE)  # at the start of a word in the name
    parts = [name for name in names if len(given) > 2 and begun.search(name)]
    return parts[0] if len(parts) == 1 else None


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """Return a sentence, with a space before it, that names the closest allowed name; empty if none is close."""
    name = closest(given, allowed)
    return f" Did you mean '{name}'?" if name is not None else ""


def word(value: object) -> str:
    """Return a path, or another value, as one word of a command line that is printed to be copied."""
    return list2cmdline([str(value)]) if os.name == "nt" else quote(str(value))


def one_of(given: str, allowed: Iterable[str]) -> str:
    """Return the tail of an "unknown name" message: the closest name, and all that are allowed."""
    names = sorted(allowed)
    return f"{did_you_mean(given, names)} Known: {', '.join(names) or 'none'}.".lstrip()
