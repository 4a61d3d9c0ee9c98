"""Signals reach their handler, whatever the main thread waits for."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from orion_k8s.worker.signals import Interrupt, Signals

LONG_S = 1000.0
"""Beyond the limit of a test: whoever waits for so long has failed."""


class Missed(threading.Thread):
    """Sends a signal that another thread takes: as one whose moment is missed, it ends no call."""

    def __init__(self, number: int) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.go = threading.Event()

    def run(self) -> None:
        self.go.wait()
        while self.main_thread_state() != "S":
            os.sched_yield()
        signal.pthread_kill(threading.get_ident(), self.number)

    def main_thread_state(self) -> str:
        with open(f"/proc/self/task/{os.getpid()}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]


def wait_for_queue() -> None:
    SimpleQueue[None]().get(timeout=LONG_S)


def wait_for_event() -> None:
    threading.Event().wait(LONG_S)


def wait_for_poll() -> None:
    select.poll().poll(1000 * LONG_S)


@pytest.mark.parametrize("wait", [wait_for_queue, wait_for_event, wait_for_poll])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_ends_no_call_is_handled_at_once(
    wait: Callable[[], None], number: signal.Signals
) -> None:
    missed = Missed(number)
    missed.start()
    with Signals(lambda number, count: None) as signals:
        signals.inline = True  # so that the handler ends the waiting by an exception
        with pytest.raises(Interrupt):
            missed.go.set()
            wait()
        assert signals.received == number and signals.count == 1
    missed.join()


def test_each_signal_counts_once() -> None:
    seen: list[tuple[int, int]] = []
    with Signals(lambda number, count: seen.append((number, count))):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert seen == [(signal.SIGTERM, 1), (signal.SIGINT, 2), (signal.SIGINT, 3)]


def test_all_is_put_back() -> None:
    threads, descriptors = threading.active_count(), set(os.listdir("/proc/self/fd"))
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGURG)
    before = [signal.getsignal(number) for number in numbers]
    with Signals(lambda number, count: None):
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == threads
    assert set(os.listdir("/proc/self/fd")) == descriptors


def test_elsewhere_than_in_the_main_thread_it_does_nothing() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def block() -> None:
        with Signals(lambda number, count: None):
            assert signal.getsignal(signal.SIGTERM) is before

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
