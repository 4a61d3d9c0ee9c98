"""What comes back from a call."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from orion_k8s.executor.base import Ending, ExecutorError
from orion_k8s.testing.executor.probes import DEADLINE_S
from orion_k8s.testing.executor.setting import Make, Setting
from orion_k8s.testing.executor.work import Patient, add, fail, fail_stubbornly, nested, pid


class CallContract(Setting):
    """Values, failures, and calls in numbers."""

    def test_where_it_runs(self, make: Make) -> None:
        """In another process, where that is promised."""
        with make(1) as executor:
            assert (executor.submit(pid).get(DEADLINE_S) != os.getpid()) is self.processes

    def test_values_in_order(self, make: Make) -> None:
        """`wait` returns the values in the order of the futures."""
        with make(2) as executor:
            futures = [executor.submit(add, i, b=10) for i in range(5)]
            assert executor.wait(futures) == [10, 11, 12, 13, 14]
            assert all(f.done() for f in futures)
            assert futures[3].outcome().ending is Ending.RETURNED
            assert futures[3].get(timeout=0) == 13
            assert executor.slots() >= 1

    def test_many_calls(self, make: Make) -> None:
        """Many more calls than slots all end, each once."""
        with make(2) as executor:
            left = [executor.submit(add, i) for i in range(self.calls)]
            seen = []
            while left:
                done = executor.async_get(left, timeout=DEADLINE_S)
                assert done
                seen += [f.get() for f in done]
                left = [f for f in left if f not in done]
        assert sorted(seen) == list(range(1, self.calls + 1))

    def test_none_is_a_value(self, make: Make) -> None:
        """None that was returned is told from nothing."""
        with make(1) as executor:
            future = executor.submit(time.sleep, 0)
            future.wait()
            assert future.outcome().ending is Ending.RETURNED and future.get() is None

    def test_failure_tells_why(self, make: Make) -> None:
        """A failure brings the exception, its text and its place."""
        with make(1) as executor:
            future = executor.submit(fail, "the bottom fell out")
            future.wait()
            outcome = future.outcome()
            assert outcome.ending is Ending.FAILED
            assert isinstance(outcome.error, ValueError)
            assert outcome.reason.endswith("ValueError: the bottom fell out")
            assert "in fail" in outcome.reason
            with pytest.raises(ExecutorError, match="the bottom fell out"):
                future.get()
            assert executor.submit(add, 1).get(DEADLINE_S) == 2

    def test_long_reason_keeps_both_ends(self, make: Make) -> None:
        """A long message is cut in its middle."""
        with make(1) as executor:
            future = executor.submit(fail, "x" * 100_000 + "the end")
            future.wait()
            reason = future.outcome().reason
            assert len(reason) <= 4096
            assert reason.startswith("ValueError: xxx") and reason.endswith("the end")

    @pytest.mark.parametrize("kind", ["stubborn", "twisted"])
    def test_exception_that_cannot_be_pickled(self, make: Make, kind: str) -> None:
        """Its text comes through, and the next call runs."""
        with make(1) as executor:
            future = executor.submit(fail_stubbornly, kind)
            future.wait()
            outcome = future.outcome()
            assert outcome.ending is Ending.FAILED
            assert kind in outcome.reason.lower() and "cannot travel" in outcome.reason
            if self.processes:
                assert outcome.error is None
            assert executor.submit(add, 1).get(DEADLINE_S) == 2

    def test_outcome_of_a_call_that_runs(self, make: Make, tmp_path: Path) -> None:
        """It has none yet."""
        with make(1) as executor:
            future = executor.submit(Patient(str(tmp_path), "done"))
            with pytest.raises(RuntimeError, match="not ended"):
                future.outcome()
            (tmp_path / "cancelled").touch()
            assert future.get() == "done"

    def test_nested_use(self, make: Make) -> None:
        """A call may use an executor itself."""
        with make(2) as executor:
            assert executor.wait([executor.submit(nested)] * 2) == [[1, 2, 3, 4]] * 2
