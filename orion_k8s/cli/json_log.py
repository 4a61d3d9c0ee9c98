"""One JSON object a line, for logs that programs read (ORION_LOG_FORMAT=json)."""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime, timezone
from typing import Any

VARIABLE = "ORION_LOG_FORMAT"

FIELDS = ("trial", "number", "token", "attempt")
"""What a record may say of a trial, by `extra`."""

context: dict[str, Any] = {}
"""What every line says: the experiment, its version, and the worker."""


def wanted() -> bool:
    """Whether the log is to be JSON."""
    return os.environ.get(VARIABLE, "").strip().lower() == "json"


class JsonFormatter(logging.Formatter):
    """Makes a line of a record: time (UTC), level, message, context, trial, and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            **context,
            **told,
            **getattr(record, "data", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
