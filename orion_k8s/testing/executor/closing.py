"""Calls that are no longer wanted, and the end of an executor."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orion_k8s.errors import UsageError
from orion_k8s.executor.base import Ending, ExecutorError, Future
from orion_k8s.testing.executor.probes import DEADLINE_S, pids, until
from orion_k8s.testing.executor.setting import Make, Setting
from orion_k8s.testing.executor.work import Patient, add, log_line


class ClosingContract(Setting):
    """`cancel` of what does not run, and `close`."""

    def test_cancel_before_it_starts(self, make: Make, tmp_path: Path) -> None:
        """A call in the queue never runs."""
        with make(1) as executor:
            first = executor.submit(Patient(str(tmp_path), "first"))
            second = executor.submit(log_line, str(tmp_path / "log"), "ran")
            second.cancel()
            assert second.done() and second.outcome().ending is Ending.CANCELLED
            (tmp_path / "cancelled").touch()
            assert first.get(DEADLINE_S) == "first"
            with pytest.raises(ExecutorError, match="cancelled"):
                second.get()
        assert not (tmp_path / "log").exists()

    def test_cancel_after_it_ended(self, make: Make) -> None:
        """It stays as it ended."""
        with make(1) as executor:
            future = executor.submit(add, 1)
            assert future.get(DEADLINE_S) == 2
            future.cancel()
            assert future.get() == 2
            assert executor.submit(add, 2).get(DEADLINE_S) == 3

    def test_close_twice(self, make: Make) -> None:
        """It is content, and takes no more calls."""
        executor = make(2)
        future = executor.submit(add, 1)
        executor.close()
        executor.close(cancel=True)
        assert future.get() == 2
        with pytest.raises(UsageError, match="closed"):
            executor.submit(add, 1)

    def test_close_unused(self, make: Make) -> None:
        """An executor that ran nothing is closed."""
        make(2).close()

    def test_close_cancels(self, make: Make, tmp_path: Path) -> None:
        """With `cancel` it does not wait for what runs."""
        executor = make(1)
        if executor.inline:
            futures = [executor.submit(time.sleep, 1000)]
        else:
            futures = [executor.submit(Patient(str(tmp_path))) for _ in range(3)]
            until(lambda: pids(tmp_path), "the call runs")
        start = time.monotonic()
        executor.close(cancel=True)
        assert time.monotonic() - start < 10
        assert [f.outcome().ending for f in futures] == [Ending.CANCELLED] * len(futures)
        (tmp_path / "cancelled").touch()

    def test_an_exception_in_the_block_cancels(self, make: Make) -> None:
        """The block is left at once, with nothing running."""
        futures: list[Future] = []
        with pytest.raises(KeyError), make(1) as executor:
            futures += [executor.submit(add, 20) for _ in range(2)]
            raise KeyError
        assert all(f.done() for f in futures)
