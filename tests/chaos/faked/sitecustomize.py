"""Loaded by the Python of a worker whose date is shifted.

libfaketime 0.9.10 (Debian 12) makes `clock_nanosleep` fail with EINVAL where it is given an
absolute time of the monotonic clock and that clock is left alone, which is how `time.sleep` does
it since Python 3.11. Sleeping in `select` avoids that call.
"""

from __future__ import annotations

import select
import time


def _sleep(seconds: float, /) -> None:
    end = time.monotonic() + seconds
    while True:
        select.select([], [], [], max(0.0, end - time.monotonic()))
        if time.monotonic() >= end:
            return


time.sleep = _sleep  # type: ignore[assignment]
