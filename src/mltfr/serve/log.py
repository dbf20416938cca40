"""The log of a service: one JSON document a line on stderr, without ids, histories or keys."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

NAME = "mltfr.serve"
LEVELS = ("debug", "info", "warning", "error")
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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    for name in (NAME, "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper())
    logging.getLogger("uvicorn.error").setLevel("WARNING")
    logging.getLogger("asyncio").setLevel("ERROR")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps({**line, **getattr(record, "fields", {})}, default=str)
