"""Structured logs: one JSON object a line on stderr: time, level, service, event word, sentence, fields.

log.info("upload completed", extra={"event": "upload_completed", "video_id": "123"})
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "event"}
_SECRET_WORDS = ("password", "secret", "token", "authorization", "api_key", "private_key")


class JsonFormatter(logging.Formatter):
    """Renders a record as one JSON line; a field whose name sounds secret is masked, whoever logged it."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "service": self._service,
            "event": getattr(record, "event", record.name),
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = "***" if any(word in name.lower() for word in _SECRET_WORDS) else value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(service: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log record of this process to `stream` (stderr) as JSON lines. Call once, from the composition."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.captureWarnings(True)
