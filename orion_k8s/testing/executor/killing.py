"""Processes that are ended with their call, and with their worker."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.executor.base import Ending, Future
from orion_k8s.testing.executor.probes import DEADLINE_S, gone, pids, until
from orion_k8s.testing.executor.setting import Make, Program
from orion_k8s.testing.executor.work import (
    Patient,
    ignore_sigterm_and_sleep,
    note_and_sleep,
    note_child_and_sleep,
)


class KillContract(Program):
    """`cancel` of what runs in another process."""

    def test_an_exception_in_the_block_ends_processes(self, make: Make) -> None:
        """The block is left at once, however long the calls would take."""
        futures: list[Future] = []
        with pytest.raises(KeyError), make(1) as executor:
            futures += [executor.submit(time.sleep, 1000) for _ in range(2)]
            raise KeyError
        assert all(f.done() for f in futures)

    @pytest.mark.parametrize("work", [note_and_sleep, note_child_and_sleep])
    def test_cancel_ends_the_process(
        self, make: Make, tmp_path: Path, work: Callable[..., Any]
    ) -> None:
        """With all that it started; other slots are not disturbed."""
        with make(2) as executor:
            future = executor.submit(work, str(tmp_path))
            until(lambda: len(pids(tmp_path)) == (2 if "child" in work.__name__ else 1))
            other_folder = tmp_path / "other"
            other_folder.mkdir()
            other = executor.submit(Patient(str(other_folder), "undisturbed"))
            until(lambda: pids(other_folder))
            future.cancel(grace_s=5)
            future.wait(DEADLINE_S)
            assert future.outcome().ending is Ending.CANCELLED
            for number in pids(tmp_path):
                until(partial(gone, number), f"process {number} is gone")
            (other_folder / "cancelled").touch()
            assert other.get(DEADLINE_S) == "undisturbed"

    def test_cancel_kills_after_the_grace(self, make: Make, tmp_path: Path) -> None:
        """A process that ignores SIGTERM is killed, and not before."""
        with make(1) as executor:
            future = executor.submit(ignore_sigterm_and_sleep, str(tmp_path))
            until(lambda: pids(tmp_path), "the call runs")
            start = time.monotonic()
            future.cancel(grace_s=0.3)
            assert time.monotonic() - start < 0.3
            future.wait(DEADLINE_S)
            assert time.monotonic() - start >= 0.3
            assert future.outcome().ending is Ending.CANCELLED

    def test_processes_die_with_their_worker(self, tmp_path: Path) -> None:
        """However the worker is killed."""
        folder = tmp_path / "pids"
        folder.mkdir()
        script = self.program(
            tmp_path,
            f"futures = [executor.submit(note_and_sleep, {str(folder)!r}) for _ in range(2)]\n"
            "executor.wait(futures)",
        )
        with subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL) as worker:
            try:
                until(lambda: len(pids(folder)) == 2, "both calls run")
            finally:
                worker.kill()
        for number in pids(folder):
            until(partial(gone, number), f"process {number} is gone", 10)
