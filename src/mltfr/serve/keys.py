"""API keys: read from a file or the environment, compared in constant time, and never shown."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from time import monotonic

from mltfr.errors import ConfigError

VARIABLE = "MLTFR_API_KEY"
SHORTEST = 8


class Keys:
    """The keys that open a service; where there are none, everybody may ask. Only their digests are kept.

    Args:
        keys: the keys.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __repr__(self) -> str:
        return f"Keys({len(self._digests)})"

    @classmethod
    def read(cls, file: Path | None) -> Keys:
        """Return the keys of a file, one a line, or else that of the variable `MLTFR_API_KEY`.

        Raises:
            ConfigError: the file holds none, or a key is too short, or has a character that no header can carry.
        """
        if file is not None:
            source = str(file)
            try:
                keys = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
            except (OSError, UnicodeError) as error:
                raise ConfigError(f"{source}: cannot be read. Give a text file with one API key a line.") from error
            keys = [key for key in keys if key and not key.startswith("#")]
            if not keys:
                raise ConfigError(f"{source}: holds no API key. Write one a line, or leave the option out.")
        else:
            source, keys = VARIABLE, [key for key in [os.environ.get(VARIABLE, "").strip()] if key]
        if any(len(key) < SHORTEST or not key.isascii() or not key.isprintable() or " " in key for key in keys):
            raise ConfigError(
                f"{source}: a key needs {SHORTEST} printable ASCII characters at least, without a space. "
                "Make one: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        return cls(keys)

    def who(self, headers: Mapping[bytes, bytes]) -> int | None:
        """Return the number of the key that a request carries; None if it carries none of these.

        Args:
            headers: its headers, names in lower case: `X-API-Key: KEY` or `Authorization: Bearer KEY`.
        """
        given = headers.get(b"x-api-key")
        if given is None:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer":
                return None
        digest = _digest(given.strip())
        found = [number for number, known in enumerate(self._digests) if hmac.compare_digest(known, digest)]
        return found[0] if found else None


class Rate:
    """A token bucket for every key: so many requests a second, and as many at once.

    Args:
        rate: requests a second.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._buckets: dict[int | None, tuple[float, float]] = {}  # by key: tokens, and when they were counted

    def wait(self, who: int | None) -> float:
        """Return how many seconds a caller has to wait; 0 lets the request in."""
        now, most = monotonic(), max(1.0, self.rate)
        tokens, before = self._buckets.get(who, (most, now))
        tokens = min(most, tokens + (now - before) * self.rate)
        self._buckets[who] = (tokens - 1 if tokens >= 1 else tokens, now)
        return 0.0 if tokens >= 1 else (1 - tokens) / self.rate


def _digest(key: bytes) -> bytes:
    return sha256(key).digest()
