"""Calls that run in other processes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from orion_k8s.errors import UsageError
from orion_k8s.executor.base import Ending
from orion_k8s.testing.executor.probes import DEADLINE_S, gone, pids, until
from orion_k8s.testing.executor.setting import Make, Setting
from orion_k8s.testing.executor.work import Patient, add, die, give_bytes, give_lock, pid


class ProcessContract(Setting):
    """Crashes, pickling, and processes that are kept."""

    processes: ClassVar[bool] = True

    @pytest.mark.parametrize(
        ("how", "told"), [("exit", "7"), ("SIGKILL", "SIGKILL"), ("segfault", "SIGSEGV")]
    )
    def test_crash_ends_its_own_call_alone(
        self, make: Make, tmp_path: Path, how: str, told: str
    ) -> None:
        """The pool comes back and the others go on."""
        with make(2) as executor:
            other = executor.submit(Patient(str(tmp_path), "undisturbed"))
            until(lambda: pids(tmp_path), "the other call runs")
            for _ in range(2):
                crash = executor.submit(die, how)
                crash.wait(DEADLINE_S)
                assert crash.outcome().ending is Ending.CRASHED
                assert told in crash.outcome().reason
                assert not other.done()
            assert executor.submit(add, 1).get(DEADLINE_S) == 2
            (tmp_path / "cancelled").touch()
            assert other.get(DEADLINE_S) == "undisturbed"

    def test_process_that_died_idle_is_replaced(self, make: Make) -> None:
        """The next call gets a new one."""
        with make(1) as executor:
            number = executor.submit(pid).get(DEADLINE_S)
            os.kill(number, signal.SIGKILL)
            until(lambda: gone(number))
            assert executor.submit(pid).get(DEADLINE_S) != number

    def test_processes_are_kept(self, make: Make) -> None:
        """A warm process is used again."""
        with make(1) as executor:
            assert len({executor.submit(pid).get(DEADLINE_S) for _ in range(5)}) == 1

    def test_big_result(self, make: Make) -> None:
        """50 MB go there and back."""
        with make(1) as executor:
            n = 50 * 2**20
            assert len(executor.submit(give_bytes, n).get(DEADLINE_S)) == n
            assert executor.submit(len, b"x" * n).get(DEADLINE_S) == n

    def test_result_that_cannot_be_pickled(self, make: Make) -> None:
        """A sentence says so, and the next call runs."""
        with make(1) as executor:
            future = executor.submit(give_lock)
            future.wait(DEADLINE_S)
            assert future.outcome().ending is Ending.FAILED
            assert "cannot be sent back" in future.outcome().reason
            assert executor.submit(add, 1).get(DEADLINE_S) == 2

    def test_call_that_cannot_be_pickled(self, make: Make) -> None:
        """`submit` refuses it in a sentence, and the next call runs."""
        with make(1) as executor:
            with pytest.raises(UsageError, match="cannot be sent to another process"):
                executor.submit(add, threading.Lock())
            assert executor.submit(add, 1).get(DEADLINE_S) == 2
