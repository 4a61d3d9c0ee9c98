"""Calls inline, and the signals that meet them at any line."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

import pytest

from orion_k8s.executor.base import Ending
from orion_k8s.executor.single import Single
from orion_k8s.testing.executor.probes import DEADLINE_S
from orion_k8s.testing.executor.work import add


class Interrupt(BaseException):
    pass


class Interrupter:
    """Raises in the n-th line that is run in the module of `Single`, as a signal's handler may."""

    def __init__(self, line: int) -> None:
        self.left = line

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.endswith("executor/single.py"):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise Interrupt
        return self


def test_an_interrupt_at_any_line_leaves_an_ended_call_or_one_to_cancel() -> None:
    """A worker that was interrupted cancels what it runs, and waits until it has ended."""
    interrupted, before = 0, sys.gettrace()
    for line in range(1, 200):
        executor = Single()
        future = executor.submit(add, 1)
        tracer = Interrupter(line)
        try:
            sys.settrace(tracer)
            executor.async_get([future], timeout=0)
        except Interrupt:
            interrupted += 1
        finally:
            sys.settrace(before)
        future.cancel(0.0)
        assert future.done(), f"line {line}"
        if future.outcome().ending is not Ending.CANCELLED:
            assert future.get() == 2
        executor.close()
        if tracer.left > 0:
            break  # it came to the end
    else:
        pytest.fail("no end of lines")
    assert interrupted > 10


class Endless:
    """A call that waits until it is cancelled."""

    def __init__(self) -> None:
        self.started, self.cancelled = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.started.set()
        assert self.cancelled.wait(DEADLINE_S)
        raise RuntimeError("cancelled")

    def cancel(self) -> None:
        self.cancelled.set()


def test_cancel_from_another_thread_asks_the_call_itself() -> None:
    work, executor = Endless(), Single()
    future = executor.submit(work)

    def cancel() -> None:
        assert work.started.wait(DEADLINE_S)
        future.cancel(5.0)

    thread = threading.Thread(target=cancel)
    thread.start()
    assert executor.async_get([future]) == [future]
    assert future.outcome().ending is Ending.CANCELLED
    thread.join()
    executor.close()


def test_what_nobody_waited_for_runs_at_the_end() -> None:
    executor = Single()
    future = executor.submit(add, 1)
    assert not future.done()
    executor.close()
    assert future.get() == 2
