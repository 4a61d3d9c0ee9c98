"""The files in which a running trial reports, and is told to stop: the same for programs."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

REPORTS = "reports.jsonl"
"""The running trial appends lines to it."""
STOP = "stop"
"""The worker makes it, empty, when the trial should stop."""


def report(
    folder: str, value: Any, step: Any = None, metrics: Mapping[str, Any] | None = None
) -> None:
    """Append a report; print it where there is no folder.

    Raises:
        TypeError: a value is neither a number nor can be made one.
    """
    data: dict[str, Any] = {"value": float(value)}
    if step is not None:
        data = {"step": float(step), **data}
    if metrics:
        data["metrics"] = {str(name): float(item) for name, item in metrics.items()}
    if not folder:
        print(data)
        return
    line = (json.dumps(data) + "\n").encode()
    path = os.path.join(folder, REPORTS)
    try:
        try:
            _append(path, line)
        except FileNotFoundError:  # the first one
            os.makedirs(folder, exist_ok=True)
            _append(path, line)
    except OSError as error:  # a full disk is no reason to lose the trial
        log.warning("reports cannot be written: %s", error)


def should_stop(folder: str) -> bool:
    """Return whether the word to stop is there."""
    return bool(folder) and os.path.exists(os.path.join(folder, STOP))


def _append(path: str, line: bytes) -> None:
    # In one write, so that the lines of several processes don't mix.
    with open(path, "ab", buffering=0) as file:
        file.write(line)
