"""Words and settings that all commands share."""

from __future__ import annotations

from typing import Any

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Of every command and group, for typer."""

VERBOSE = "log more; twice: everything"
DEBUG = "show the traceback of an error"

EXIT_CODES = (
    "Exit codes: 0 done; 1 unexpected; 2 usage; 3 broken experiment; 4 idle timeout; 5 database;"
    " 6 schema of the database; 7 not found; 8 experiment removed; 9 only suspended trials left;"
    " 10 the executor's cluster unreachable; 130 and 143 ended by SIGINT and SIGTERM."
)
