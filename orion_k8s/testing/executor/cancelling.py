"""Running calls that can be ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from orion_k8s.executor.base import Ending
from orion_k8s.testing.executor.probes import DEADLINE_S, pids, until
from orion_k8s.testing.executor.setting import Make, Setting
from orion_k8s.testing.executor.work import Patient, add


class CancelContract(Setting):
    """`cancel` of what runs."""

    def test_cancel_while_it_runs(self, make: Make, tmp_path: Path) -> None:
        """It is ended, and the slots are free for others."""
        with make(2) as executor:
            folders = [tmp_path / "one", tmp_path / "two"]
            for folder in folders:
                folder.mkdir()
            works: list[Any] = [Patient(str(folder)) for folder in folders]
            futures = [executor.submit(work) for work in works]
            until(lambda: all(map(pids, folders)), "the calls run")
            for future in futures:
                future.cancel()
            start = time.monotonic()
            for future in futures:
                future.wait(DEADLINE_S)
                assert future.outcome().ending is Ending.CANCELLED
            assert time.monotonic() - start < DEADLINE_S / 2
            assert executor.submit(add, 1).get(DEADLINE_S) == 2

    def test_cancel_method_may_still_return(self, make: Make, tmp_path: Path) -> None:
        """What a call returns within the grace is kept."""
        with make(1) as executor:
            future = executor.submit(Patient(str(tmp_path), "a last result"))
            until(lambda: pids(tmp_path), "the call runs")
            future.cancel(grace_s=DEADLINE_S)
            assert future.get(DEADLINE_S) == "a last result"
            assert executor.submit(add, 1).get(DEADLINE_S) == 2
