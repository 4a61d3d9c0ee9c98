"""Waiting for calls, and being woken."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from orion_k8s.executor.base import Ending
from orion_k8s.testing.executor.probes import DEADLINE_S
from orion_k8s.testing.executor.setting import Make, Setting
from orion_k8s.testing.executor.work import Patient, log_line


class WaitingContract(Setting):
    """`async_get`, `wake`, and signals."""

    def test_async_get_of_nothing(self, make: Make) -> None:
        """Without futures it waits for its timeout."""
        with make(1) as executor:
            assert executor.async_get([]) == []
            start = time.monotonic()
            assert executor.async_get([], timeout=0.05) == []
            assert time.monotonic() - start >= 0.05

    def test_queue_is_first_in_first_out(self, make: Make, tmp_path: Path) -> None:
        """Calls run in the order in which they came."""
        path = tmp_path / "log"
        with make(1) as executor:
            executor.wait([executor.submit(log_line, str(path), str(i)) for i in range(20)])
        assert path.read_text().split() == [str(i) for i in range(20)]

    def test_wake_before_the_wait_counts(self, make: Make) -> None:
        """A bell that rang before the wait ends it, once."""
        with make(1) as executor:
            executor.wake()
            start = time.monotonic()
            assert executor.async_get([], timeout=DEADLINE_S) == []
            assert time.monotonic() - start < DEADLINE_S / 2
            assert executor.async_get([], timeout=0.01) == []  # answered once

    def test_wake_from_a_thread(self, make: Make) -> None:
        """Another thread ends the wait."""
        with make(1) as executor:
            waker = threading.Timer(0.05, executor.wake)
            waker.start()
            start = time.monotonic()
            assert executor.async_get([], timeout=DEADLINE_S) == []
            assert time.monotonic() - start < DEADLINE_S / 2
            waker.join()

    def test_wake_from_a_signal_handler(self, make: Make) -> None:
        """A signal handler ends the wait, wherever it interrupts."""
        with make(1) as executor:
            before = signal.signal(signal.SIGALRM, lambda *_: executor.wake())
            try:
                for _ in range(20):
                    signal.setitimer(signal.ITIMER_REAL, 0.002)
                    start = time.monotonic()
                    assert executor.async_get([], timeout=DEADLINE_S) == []
                    assert time.monotonic() - start < DEADLINE_S / 2
            finally:
                signal.signal(signal.SIGALRM, before)

    def test_exception_of_a_signal_handler_ends_the_wait(self, make: Make, tmp_path: Path) -> None:
        """It goes through to who waits; only a call inline ends by it."""

        class Stop(BaseException):
            pass

        def stop(*_: object) -> None:
            raise Stop

        before = signal.signal(signal.SIGALRM, stop)
        try:
            with make(1) as executor:
                future = executor.submit(Patient(str(tmp_path), "done"))
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                with pytest.raises(Stop):
                    executor.async_get([future], timeout=DEADLINE_S)
                if executor.inline:
                    assert future.outcome().ending is Ending.CANCELLED
                else:
                    assert not future.done()
                (tmp_path / "cancelled").touch()
        finally:
            signal.signal(signal.SIGALRM, before)
