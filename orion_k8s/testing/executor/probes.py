"""How a test looks at processes and threads, and waits for what it expects."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

DEADLINE_S = 30.0


def until(condition: Callable[[], object], what: str = "", deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition, and fail past the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what or condition}"
        time.sleep(0.005)


def pids(folder: Path) -> list[int]:
    """Return the ids of the processes that wrote files into the folder."""
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def gone(number: int) -> bool:
    """Return whether a process has ended, with all its threads (a zombie has)."""
    try:
        with open(f"/proc/{number}/stat") as file:
            ended = file.read().rpartition(")")[2].split()[0] in "ZX"
        return ended and len(os.listdir(f"/proc/{number}/task")) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def leftovers() -> set[object]:
    """Return the threads, child processes and (on Linux) sockets of this process.

    Resource trackers are left out: there is one a Python process, for all who use
    multiprocessing, and it ends with it.
    """
    psutil = import_module("psutil")  # it brings no types

    found: set[object] = set(threading.enumerate())
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and not any(
                "resource_tracker" in word for word in child.cmdline()
            ):
                found.add(child)
        except psutil.NoSuchProcess:
            continue
    return found | sockets()


def sockets() -> set[object]:
    """Return the sockets that this process has open; none where there is no /proc."""
    found: set[object] = set()
    descriptors = Path("/proc/self/fd")
    for descriptor in os.listdir(descriptors) if descriptors.is_dir() else ():
        try:
            target = os.readlink(descriptors / descriptor)
        except FileNotFoundError:  # closed meanwhile; the one of this very listing, too
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found
