"""Functions that run on Dask workers and write down, in a file of the test's own, what they do."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from distributed import get_worker

from orion_k8s import Trial
from orion_k8s.testing.executor.probes import until


def note(folder: str, *words: object) -> None:
    """Add a line to the test's log, which outlives whoever writes it."""
    log = os.open(Path(folder) / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(log, (" ".join(map(str, words)) + "\n").encode())
        os.fsync(log)
    finally:
        os.close(log)


def notes(folder: Path, kind: str = "start") -> list[tuple[str, ...]]:
    """The lines of a kind, without the kind."""
    if not (folder / "log").exists():
        return []
    lines = [tuple(line.split()) for line in (folder / "log").read_text().splitlines()]
    return [line[1:] for line in lines if line[0] == kind]


def held(x: float, trial: Any, folder: str) -> float:
    """Note the attempt, and wait while the file `hold` is there."""
    note(folder, "start", getattr(trial, "id", "-"), getattr(trial, "attempt", 0))
    until(lambda: not (Path(folder) / "hold").exists(), deadline_s=120)
    return x


def deadly(x: int, trial: Any, folder: str) -> int:
    """Note the attempt; 3 kills the Dask worker."""
    note(folder, "start", trial.id, trial.attempt, x)
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def square(x: float) -> float:
    return x**2


def noted_square(x: float, trial: Any, folder: str) -> float:
    """Note the trial, the process, and the point."""
    note(folder, "start", trial.id, os.getpid(), x)
    return x**2


def worker_name() -> str:
    return str(get_worker().name)


def tasks_and_flags(dask_scheduler: Any) -> tuple[int, int]:
    """How many tasks and flags the scheduler has."""
    return len(dask_scheduler.tasks), len(dask_scheduler.extensions["events"]._events)


def tasks_there(dask_worker: Any) -> int:
    """How many tasks a Dask worker has."""
    return len(dask_worker.state.tasks)


class Sleeper:
    """Waits until somebody calls its `cancel()`, and writes down that it runs and that it ends."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.ended = False

    def __call__(self) -> str:
        note(self.folder, "start", os.getpid())
        until(lambda: self.ended, deadline_s=120)
        note(self.folder, "end", os.getpid())
        return "asked to end"

    def cancel(self) -> None:
        self.ended = True


def learns(x: float, trial: Trial) -> float | None:
    """Report a step; a bad one then waits for the word to stop."""
    trial.report(x, step=1)
    ends = time.monotonic() + 60
    while x > 0.5 and not trial.should_stop():
        assert time.monotonic() < ends, "nobody stopped it"
        time.sleep(0.01)
    return None if x > 0.5 else x
