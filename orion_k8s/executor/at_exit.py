"""The moment when the main thread has ended, before anybody waits for pools and threads.

What `atexit` calls comes after all threads have been joined. The pools of loky and of the standard
library have a way to be called before, and wait for their calls there; the last to register is the
first to be called.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable

_callbacks: list[Callable[[], None]] = []
_before: set[object] = set()


def call_at_exit(callback: Callable[[], None]) -> None:
    """Call it when the main thread has ended; it may be called more than once. Not undone."""
    import concurrent.futures.process
    import concurrent.futures.thread  # noqa: F401

    _callbacks.append(callback)
    come_before(None)


def come_before(pool: object) -> None:
    """Be called before a kind of pool that has just registered itself, at its first use."""
    if pool in _before:
        return
    _before.add(pool)
    register = getattr(threading, "_register_atexit", atexit.register)
    try:
        register(_call_all)
    except RuntimeError:  # the main thread has ended already
        atexit.register(_call_all)


def _call_all() -> None:
    for callback in _callbacks:
        callback()
