"""Workers in threads, when the program's main thread has ended.

Signals reach the main thread alone, and so does a Ctrl-C in the terminal. Without help, a program
whose main thread ends would wait for a worker's running calls as long as they like, or leave their
trials reserved.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from orion_k8s.errors import OrionError
from orion_k8s.executor.at_exit import call_at_exit
from orion_k8s.trial import Status
from orion_k8s.worker import Worker

log = logging.getLogger(__name__)

_MOMENT_S = 6.0
"""Beyond the grace: a worker bears an ending that takes five seconds more."""

_running: dict[Worker, tuple[threading.Thread, threading.Event]] = {}
_registered = False


@contextmanager
def stopped_at_exit(worker: Worker) -> Iterator[None]:
    """Let the end of the main thread stop a worker that runs in another one, inside the block."""
    thread = threading.current_thread()
    if thread is threading.main_thread():
        yield
        return
    _register()
    done = threading.Event()
    _running[worker] = thread, done
    try:
        yield
    finally:
        del _running[worker]
        done.set()


def _register() -> None:
    global _registered
    if not _registered:
        _registered = True
        call_at_exit(_stop_all)
        atexit.register(_give_back_all)


def _stop_all() -> None:
    there = list(_running.items())
    for worker, _ in there:
        worker.stop()
    for worker, (thread, done) in there:
        if not thread.daemon:
            continue  # it is waited for, with what it runs inline
        if worker.executor.inline:
            _give_back(worker)  # its call ends with this process, which is about to end
        else:
            done.wait(worker.limits.grace_s + _MOMENT_S)


def _give_back_all() -> None:
    """Nobody waits any more: a second Ctrl-C ended the waiting for a call inline."""
    for worker in list(_running):
        _give_back(worker)


def _give_back(worker: Worker) -> None:
    for lease in worker.heart.leases():
        try:
            worker.heart.storage.release(lease, Status.INTERRUPTED, "the program ended")
        except OrionError as error:
            log.warning("trial %s was not released: %s", lease.trial, error)
