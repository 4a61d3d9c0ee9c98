"""Calls that run beside the thread that waits for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orion_k8s.executor.base import Ending
from orion_k8s.testing.executor.probes import DEADLINE_S
from orion_k8s.testing.executor.setting import Make, Setting
from orion_k8s.testing.executor.work import Patient, add, leave, pid


class ConcurrentContract(Setting):
    """What calls inline cannot do."""

    def test_get_has_a_timeout(self, make: Make, tmp_path: Path) -> None:
        """It is over while the call runs on."""
        with make(1) as executor:
            future = executor.submit(Patient(str(tmp_path), "done"))
            with pytest.raises(TimeoutError):
                future.get(timeout=0.01)
            (tmp_path / "cancelled").touch()
            assert future.get(DEADLINE_S) == "done"

    def test_async_get_returns_the_first(self, make: Make, tmp_path: Path) -> None:
        """Of a slow and a fast call, the fast one; and nobody after a timeout."""
        with make(2) as executor:
            slow = executor.submit(Patient(str(tmp_path), "slow"))
            fast = executor.submit(add, 1)
            assert executor.async_get([slow, fast], timeout=DEADLINE_S) == [fast]
            assert executor.async_get([slow], timeout=0.01) == []
            (tmp_path / "cancelled").touch()
            assert executor.async_get([slow], timeout=DEADLINE_S) == [slow]

    def test_system_exit_is_a_failure(self, make: Make) -> None:
        """It ends the call, not the slot."""
        with make(1) as executor:
            number = executor.submit(pid).get(DEADLINE_S)
            future = executor.submit(leave)
            future.wait(DEADLINE_S)
            assert future.outcome().ending is Ending.FAILED
            assert "SystemExit: 3" in future.outcome().reason
            assert executor.submit(pid).get(DEADLINE_S) == number
