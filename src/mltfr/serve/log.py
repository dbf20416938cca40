"""The log of a service: one JSON document a line on stderr, without ids, histories or keys.

Lines about requests that went well are written together, by whoever calls `write_log` a few times a second: a write
lets go of the interpreter, and the event loop would wait for it after every request while the model works. These lines
do not go through `logging`, which looks up the calling frame for each: docs/decisions/service.md has the cost.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from time import time
from typing import Any, TextIO

NAME = "mltfr.serve"
LEVELS = ("debug", "info", "warning", "error")
REQUEST = "request"
"""The event of a request."""
HELD = 1000
"""Lines about requests that are held, at most."""
_logger = logging.getLogger(NAME)
_dumps = json.JSONEncoder(default=str).encode


def log(level: int, event: str, **fields: Any) -> None:
    """Write one line.

    Args:
        level: as in `logging`.
        event: what happened, in a word or two.
        fields: what else is known of it; nothing that came with a request.
    """
    if not _logger.isEnabledFor(level):
        return
    handler = next((each for each in _logger.handlers if isinstance(each, _Held)), None)
    if handler is None or event != REQUEST or level > logging.INFO:
        _logger.log(level, event, extra={"fields": fields})
    else:
        handler.hold(_line(time(), level, event, fields))


def log_fault(event: str, error: BaseException, **fields: Any) -> None:
    """Write a line about an error that nobody expected: its type and its place, not its text, which may quote ids."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    where = [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    log(logging.ERROR, event, error=type(error).__name__, where=where, **fields)


def start_log(level: str) -> None:
    """Write the log of this service, and that of its server, to stderr from now on.

    Args:
        level: one of `LEVELS`, the least that is written.
    """
    handler = _Held(sys.stderr)
    handler.setFormatter(_JsonLines())
    for name in (NAME, "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper())
    logging.getLogger("uvicorn.error").setLevel("WARNING")
    logging.getLogger("asyncio").setLevel("ERROR")


def write_log() -> None:
    """Write the lines that are held."""
    for handler in _logger.handlers:
        handler.flush()


class _Held(logging.StreamHandler[TextIO]):
    """Writes to a stream, and before each line what requests that went well have left behind."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def hold(self, line: str) -> None:
        """Write a line with the next one, or when many are held."""
        self._lines.append(line)
        if len(self._lines) >= HELD:
            self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write what is held, and a line."""
        self._lines.append(self.format(record))
        self.flush()

    def flush(self) -> None:
        """Write what is held; it is lost where it cannot be written, and the service goes on."""
        with self.lock or nullcontext(), suppress(OSError, ValueError):
            lines = self._lines.copy()
            del self._lines[: len(lines)]  # another thread may have added some
            if lines:
                self.stream.write("".join(f"{line}\n" for line in lines))
            super().flush()


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        fields = getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            fields = {"error": record.exc_info[0].__name__, **fields}
        return _line(record.created, record.levelno, record.getMessage(), fields)


def _line(seconds: float, level: int, event: str, fields: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return _dumps({"time": at, "level": logging.getLevelName(level).lower(), "event": event, **fields})
