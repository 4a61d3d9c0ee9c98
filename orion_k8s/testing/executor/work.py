"""The functions that the tests run, in a module that other processes can import."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from orion_k8s.testing.executor.probes import DEADLINE_S, until


def add(a: float, b: float = 1) -> float:
    """Return the sum."""
    return a + b


def pid(_: object = None) -> int:
    """Return the id of the process that runs the call."""
    return os.getpid()


def fail(message: str) -> None:
    """Raise an exception that can be pickled."""
    raise ValueError(message)


class Stubborn(Exception):
    """An exception that can't be pickled."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class Twisted(Exception):
    """An exception that can be pickled, and not be read again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def fail_stubbornly(kind: str) -> None:
    """Raise an exception that can't travel."""
    raise Stubborn("cannot travel") if kind == "stubborn" else Twisted("cannot", "travel")


def give_lock() -> Any:
    """Return what can't be pickled."""
    return threading.Lock()


def give_bytes(n: int) -> bytes:
    """Return `n` bytes."""
    return b"x" * n


def leave() -> None:
    """Raise SystemExit."""
    sys.exit(3)


def note_and_sleep(folder: str, seconds: float = 1000.0) -> str:
    """Write a file named after this process, and sleep."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(seconds)
    return "slept"


def note_child_and_sleep(folder: str) -> None:
    """Start a process that sleeps, write files named after both, and sleep."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    (Path(folder) / str(child.pid)).touch()
    note_and_sleep(folder)


def ignore_sigterm_and_sleep(folder: str) -> None:
    """Sleep on through SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note_and_sleep(folder)


def log_line(path: str, line: str) -> None:
    """Append a line to a file."""
    with open(path, "a") as file:
        file.write(line + "\n")


def die(how: str) -> None:
    """End the process that runs the call."""
    if how == "exit":
        os._exit(7)
    if how == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(DEADLINE_S)


class Patient:
    """A callable that waits until its `cancel()` is called."""

    def __init__(self, folder: str, value: str | None = None) -> None:
        self.folder, self.value = folder, value

    def __call__(self) -> str:
        """Wait, then return the value or raise."""
        (Path(self.folder) / str(os.getpid())).touch()
        mark = Path(self.folder) / "cancelled"
        until(mark.exists)
        if self.value is None:
            raise RuntimeError("ended by cancel()")
        return self.value

    def cancel(self) -> None:
        """End the call."""
        (Path(self.folder) / "cancelled").touch()


def nested() -> list[float]:
    """Use an executor inside a call."""
    from orion_k8s.executor.registry import create_executor

    with create_executor("joblib", n_workers=2) as inner:
        return inner.wait([inner.submit(add, i) for i in range(4)])
