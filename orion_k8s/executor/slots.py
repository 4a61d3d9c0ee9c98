"""Slots, a queue of waiting calls, and futures: what every executor with real slots shares.

Each slot has a thread of the worker that takes a call from the queue, lets the slot run it, and
waits for its end. What a slot is (a thread, a process, a place in somebody's cluster) is for the
subclass of `Slot` to say.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any

from orion_k8s.errors import UsageError
from orion_k8s.executor.base import Ending, Executor, Future, Outcome
from orion_k8s.executor.waiting import Bell

MOMENT_S = 2.0
"""How long beyond its grace something may take that should take no time."""

CANCELLED = Outcome(Ending.CANCELLED, reason="The call was cancelled.")


class SlotFuture(Future):
    """A call in the queue or in a slot.

    Attributes:
        work: what the slot runs; dropped when the call has ended.
        cancelling: whether somebody asked to end the call.
    """

    def __init__(self, executor: SlotExecutor, work: Any) -> None:
        self.work = work
        self.cancelling = False
        self.slot: Slot | None = None
        self.result: Outcome | None = None
        self._executor = executor

    def done(self) -> bool:
        """Whether the call has ended."""
        return self.result is not None

    def outcome(self) -> Outcome:
        """Return how the call ended.

        Raises:
            RuntimeError: it has not ended.
        """
        if self.result is None:
            raise RuntimeError("The call has not ended yet: wait() for it first.")
        return self.result

    def cancel(self, grace_s: float = 0.0) -> None:
        """End the call. See `Future.cancel`."""
        self._executor.cancel(self, grace_s)

    def drop(self) -> None:
        """Count the call as cancelled, unless it has ended. For slots."""
        self._executor.finish(self, CANCELLED)

    def wait(self, timeout: float | None = None) -> None:
        """Return when the call has ended, or after `timeout` seconds."""
        self._executor.bell.wait(self.done, timeout)


class Slot(ABC):
    """Runs one call at a time. `run` and `close` are called by the slot's own thread."""

    @abstractmethod
    def run(self, future: SlotFuture) -> Outcome:
        """Run `future.work` and return how it ended. Raises nothing but bugs."""

    @abstractmethod
    def stop(self, future: SlotFuture, grace_s: float) -> None:
        """End the call that runs, in a thread that may wait for as long as the grace."""

    def close(self) -> None:
        """Give back what the slot holds."""
        return None


class SlotExecutor(Executor):
    """An executor made of slots. A subclass says how a call is prepared and what a slot is."""

    def __init__(self, n_workers: int = 1) -> None:
        super().__init__(n_workers)
        self.bell = Bell()
        # Reentrant: a signal handler may cancel while the same thread submits.
        self._lock = threading.RLock()
        self._queue: SimpleQueue[SlotFuture | None] = SimpleQueue()
        self._unfinished: set[SlotFuture] = set()
        self._threads: set[threading.Thread] = set()
        self._helpers: set[threading.Thread] = set()
        self._closed = False
        self._pid = os.getpid()

    @abstractmethod
    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the work that a slot runs.

        Raises:
            UsageError: it can't be pickled, and must be.
        """

    @abstractmethod
    def make_slot(self) -> Slot:
        """Return a new slot. It is used by one thread."""

    # --- the contract ----------------------------------------------------------------------------

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        """Start a call, or queue it. See `Executor.submit`."""
        if os.getpid() != self._pid:  # its threads did not come along, and its lock may be held
            raise UsageError(
                "This executor belongs to the process that this one was forked from: make a new "
                "one here."
            )
        future = SlotFuture(self, self.prepare(function, args, kwargs))
        with self._lock:
            if self._closed:
                raise UsageError("The executor is closed: make a new one to run more calls.")
            self._unfinished.add(future)
            try:
                self._grow()
            except BaseException:
                self._unfinished.discard(future)
                raise
            self._queue.put(future)
        return future

    def async_get(self, futures: Iterable[Future], timeout: float | None = None) -> list[Future]:
        """Return the futures that have ended. See `Executor.async_get`.

        Without futures it waits for `wake()` alone, if there is a `timeout`.
        """
        asked = list(futures)
        if asked or timeout is not None:
            self.bell.wait(lambda: any(f.done() for f in asked), timeout, listen=True)
        self.bell.answer()
        return [future for future in asked if future.done()]

    def wake(self) -> None:
        """Let `async_get` return now, or the next one, if none waits."""
        self.bell.ring()

    def close(self, cancel: bool = False) -> None:
        """End the executor. See `Executor.close`."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closed = True
            unfinished = list(self._unfinished)
        if cancel:
            for future in unfinished:
                future.cancel()
        # A thread that was abandoned to its endless call leaves the set; so it is read anew.
        self.bell.wait(lambda: not self._unfinished)
        with self._lock:
            threads, helpers = list(self._threads), list(self._helpers)
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()
        for helper in helpers:
            helper.join(MOMENT_S)

    # --- inside ----------------------------------------------------------------------------------

    def cancel(self, future: SlotFuture, grace_s: float) -> None:
        """End a call: see `Future.cancel`."""
        with self._lock:
            if future.result is not None:
                return
            future.cancelling = True
            slot = future.slot
            if slot is None:
                self.finish(future, CANCELLED)
                return
            helper = threading.Thread(
                target=self._stop, args=(slot, future, grace_s), name="orion-cancel", daemon=True
            )
            self._helpers.add(helper)
            helper.start()

    def _stop(self, slot: Slot, future: SlotFuture, grace_s: float) -> None:
        try:
            slot.stop(future, grace_s)
        finally:
            with self._lock:
                self._helpers.discard(threading.current_thread())

    def finish(self, future: SlotFuture, outcome: Outcome) -> None:
        """Say how a call ended. The first word counts."""
        with self._lock:
            if future.result is None:
                future.result = outcome
                future.work = future.slot = None
                self._unfinished.discard(future)
        self.bell.tell()

    def abandon(self, future: SlotFuture) -> None:
        """Count a call that can't be ended as cancelled, and give its slot a new thread.

        The old thread goes on in the background and ends with its call.
        """
        with self._lock:
            if future.result is not None:
                return
            slot = future.slot
            for thread in list(self._threads):
                if isinstance(thread, _SlotThread) and thread.slot is slot:
                    thread.abandoned = True
                    self._threads.discard(thread)
            self.finish(future, CANCELLED)
            self._grow()

    def _grow(self) -> None:
        while len(self._threads) < min(self.n_workers, len(self._unfinished)):
            thread = _SlotThread(self)
            try:
                thread.start()
            except RuntimeError:  # the system's limit of threads: go on with what there is
                if not self._threads:
                    raise
                return
            self._threads.add(thread)

    def _take(self, thread: _SlotThread) -> SlotFuture | None:
        """Return the next call that is still wanted; None for the end."""
        while True:
            future = self._queue.get()
            if future is None:
                return None
            with self._lock:
                if future.result is None:
                    future.slot = thread.slot
                    return future


class _SlotThread(threading.Thread):
    """Takes calls from the queue and lets its slot run them, one by one."""

    def __init__(self, executor: SlotExecutor) -> None:
        super().__init__(name="orion-slot", daemon=True)
        self.executor = executor
        self.slot = executor.make_slot()
        self.abandoned = False

    def run(self) -> None:
        executor = self.executor
        try:
            while not self.abandoned and (future := executor._take(self)) is not None:
                try:
                    outcome = self.slot.run(future)
                except BaseException as error:
                    # The executor's own fault, never the call's. What the machine lacks now it
                    # may have later, and the trial runs again; anything else would go round for
                    # ever.
                    ending = Ending.LOST if _passes(error) else Ending.CRASHED
                    text = f"The executor could not run the call: {type(error).__name__}: {error}"
                    outcome = Outcome(ending, reason=text, error=error)
                if future.cancelling and outcome.ending is not Ending.RETURNED:
                    outcome = CANCELLED
                executor.finish(future, outcome)
                del future, outcome  # a waiting thread must not hold a big result
        finally:
            self.slot.close()


def _passes(error: BaseException) -> bool:
    """Return whether it is for want of processes, memory, files or threads, or at the very end."""
    if isinstance(error, (OSError, MemoryError)):
        return True
    return "start new thread" in str(error) or "shutdown" in str(error)
