"""The log of a service: one JSON document a line on stderr, without ids, histories or keys.

Lines about requests that went well are written together, by whoever calls `write_log` a few times a second: a write
lets go of the interpreter, and the event loop would wait for it after every request while the model works.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any, TextIO

NAME = "mltfr.serve"
LEVELS = ("debug", "info", "warning", "error")
REQUEST = "request"
"""The event of a request."""
HELD = 1000
"""Lines about requests that are held, at most."""
_logger = logging.getLogger(NAME)


def log(level: int, event: str, **fields: Any) -> None:
    """Write one line.

    Args:
        level: as in `logging`.
        event: what happened, in a word or two.
        fields: what else is known of it; nothing that came with a request.
    """
    if _logger.isEnabledFor(level):
        _logger.log(level, event, extra={"fields": fields})


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
    """Writes to a stream; what requests that went well leave behind is held until something else is written."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Hold a line, and write what is held unless it can wait."""
        self._lines.append(self.format(record))
        if record.msg != REQUEST or record.levelno > logging.INFO or len(self._lines) >= HELD:
            self.flush()

    def flush(self) -> None:
        """Write what is held; it is lost where it cannot be written, and the service goes on."""
        with self.lock or nullcontext(), suppress(OSError, ValueError):
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("".join(f"{line}\n" for line in lines))
            super().flush()


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps({**line, **getattr(record, "fields", {})}, default=str)
