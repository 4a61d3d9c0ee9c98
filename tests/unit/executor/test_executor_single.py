"""Calls inline, and the signals that meet them at any line."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest

from orion_k8s.executor.base import Ending, Future
from orion_k8s.executor.single import Single
from orion_k8s.testing.executor.probes import DEADLINE_S
from orion_k8s.testing.executor.work import add


class Interrupt(BaseException):
    pass


class AtLine:
    """Acts in the n-th line that is run in the module of `Single`, as a signal's handler may."""

    def __init__(self, line: int, act: Callable[[], None]) -> None:
        self.left, self.act = line, act

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.endswith("executor/single.py"):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                self.act()
        return self


class Asked:
    """A call that can be asked to end; it notes what happened to it."""

    def __init__(self) -> None:
        self.ran, self.ended, self.cancelled = False, False, threading.Event()

    def __call__(self) -> str:
        self.ran = True
        self.ended = True
        return "value"

    def cancel(self) -> None:
        self.cancelled.set()


def at_each_line(act: Callable[[Asked, Future], None]) -> Iterator[tuple[int, Asked, Future]]:
    """Run a call again and again, and act in one line more each time, until there are no more."""
    for line in range(1, 200):
        executor, work = Single(), Asked()
        future = executor.submit(work)
        tracer = AtLine(line, partial(act, work, future))
        before = sys.gettrace()
        try:
            sys.settrace(tracer)
            executor.async_get([future], timeout=0)
        except Interrupt:
            pass
        finally:
            sys.settrace(before)
        yield line, work, future
        executor.close()
        if tracer.left > 0:
            assert line > 15
            return
    pytest.fail("no end of lines")


def test_an_interrupt_at_any_line_leaves_an_ended_call_or_one_to_cancel() -> None:
    """A worker that was interrupted cancels what it runs, and waits until it has ended."""

    def interrupt(work: Asked, future: Future) -> None:
        raise Interrupt

    for line, work, future in at_each_line(interrupt):
        future.cancel(0.0)
        assert future.done(), f"line {line}"
        assert work.ran or future.outcome().ending is Ending.CANCELLED


def test_a_cancellation_at_any_line_keeps_the_call_from_running_or_asks_it_to_end() -> None:
    unasked: dict[Asked, bool] = {}

    def cancel(work: Asked, future: Future) -> None:
        over = work.ended
        future.cancel(5.0)
        unasked[work] = over

    for line, work, future in at_each_line(cancel):
        assert future.done()
        if work.ran and not unasked.get(work, True):
            assert work.cancelled.wait(DEADLINE_S), f"line {line}: it ran on unasked"


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
