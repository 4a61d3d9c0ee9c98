"""Slots that are processes: one pool of one process each, so that a crash stays in its slot.

A pool of several processes is broken as a whole when one of them dies, and can't end one call.
With a pool a slot, the death of a process ends its own call alone, the next call gets a new
process, and a call is cancelled by ending its process. Processes are kept for the next call.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from concurrent.futures import Executor as Pool
from multiprocessing.connection import wait as ended
from typing import Any

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.at_exit import come_before
from orion_k8s.executor.base import Ending, Outcome
from orion_k8s.executor.child import enter, pack, run_packed, sigint_blocked, unpack
from orion_k8s.executor.slots import CANCELLED, MOMENT_S, Slot, SlotExecutor, SlotFuture

LINGER_S = 5.0
"""How long an idle process may take to end by itself (threads that a call left in it) before it is
killed."""


class Child:
    """A pool of one process, and that process.

    Args:
        pool: it starts its process when the first call is submitted.

    Raises:
        BrokenExecutor: the process died while it started.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.calls = 0
        self.spoiled = False
        self.process: multiprocessing.process.BaseProcess | None = None
        self.pid = pool.submit(enter, os.getpid()).result()
        for process in multiprocessing.active_children():
            if process.pid == self.pid:
                self.process = process

    def alive(self) -> bool:
        """Whether the process lives, as far as is known."""
        # The sentinel tells first: while the pool's own thread waits for the process, is_alive()
        # has no way to know and says yes.
        process = self.process
        return process is not None and not ended([process.sentinel], 0) and process.is_alive()

    def signal(self, number: int) -> None:
        """Send a signal to the process and to all that it started in its group."""
        for send in (os.killpg, os.kill):
            try:
                send(self.pid, number)
                return
            except (ProcessLookupError, PermissionError):
                continue  # no group: it is gone, or it did not come to make one

    def kill(self) -> None:
        """End the process now."""
        self.spoiled = True
        if self.alive():
            self.signal(signal.SIGKILL)
            return
        # Another process took the place of the one that is known (loky replaces one that timed
        # out or grew).
        try:
            self.pool.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]
        except TypeError:
            self.pool.shutdown(wait=False)

    def close(self) -> None:
        """End an idle process and everything that it left in its group; wait until it is gone."""
        killer = threading.Timer(LINGER_S, self.signal, [signal.SIGKILL])
        killer.daemon = True
        killer.start()
        try:
            self.pool.shutdown(wait=True)
        finally:
            killer.cancel()
            killer.join()
        # The group's number can't have been given to others while members of it live; and if
        # none does, numbers are used in turn: it is not in use again so soon.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def obituary(self) -> str:
        """Return why the process died. Only after `close()`: then the exit code is known."""
        code = self.process.exitcode if self.process is not None else None
        return f"The process that ran the call {_how(code)}."


class ProcessSlot(Slot):
    """Runs calls in a process of its own, which is started when the first call comes.

    Args:
        make_pool: returns a new pool of one process.
        max_calls: calls after which the process is replaced; None for no limit.
        hint: for people, where a process dies while it starts.
    """

    def __init__(
        self, make_pool: Callable[[], Pool], max_calls: int | None = None, hint: str = ""
    ) -> None:
        self._make_pool = make_pool
        self._max_calls = max_calls
        self._hint = hint
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._running: SlotFuture | None = None
        self._begun: SlotFuture | None = None

    def run(self, future: SlotFuture) -> Outcome:
        """Run the packed call in the slot's process."""
        for last in (False, True):
            try:
                child = self._ready()
            except BrokenExecutor as error:
                if not last:
                    continue
                text = f"The process for the call died while it started. {self._hint}".strip()
                return Outcome(Ending.CRASHED, reason=text, error=error)
            with self._lock:
                if future.cancelling:
                    return CANCELLED
                self._running = self._begun = future
            try:
                job = child.pool.submit(run_packed, future.work, os.getpid())
            except BrokenExecutor:
                # It died before the call came to it: not the call's fault.
                self._end_of_call()
                self._retire()
                if not last:
                    continue
                raise
            return self._outcome_of(job.result)
        raise AssertionError("unreachable")

    def _outcome_of(self, result: Callable[[], Any]) -> Outcome:
        child = self._child
        assert child is not None
        try:
            reply = result()
        except BaseException as error:  # whatever broke the pool: the call itself raises nothing
            self._end_of_call()
            self._retire()
            reason = child.obituary()
            if not isinstance(error, BrokenExecutor):
                reason = f"{reason} {type(error).__name__}: {error}"
            return Outcome(Ending.CRASHED, reason=reason, error=error)
        child.calls += 1
        self._end_of_call()
        return unpack(reply)

    def _ready(self) -> Child:
        child = self._child
        if child is not None:
            worn = self._max_calls is not None and child.calls >= self._max_calls
            # Spoiled: a signal that was meant for an earlier call may still be on its way to it.
            if worn or child.spoiled or not child.alive():
                self._retire()
        if self._child is None:
            with sigint_blocked():
                pool = self._make_pool()
                try:
                    self._child = Child(pool)
                except BaseException:
                    pool.shutdown(wait=True)
                    raise
            come_before(type(pool))
        return self._child

    def _end_of_call(self) -> None:
        with self._lock:
            self._running = None

    def _retire(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def stop(self, future: SlotFuture, grace_s: float) -> None:
        """TERM, and KILL after the grace; at once while the process is being started."""
        with self._lock:
            begun = self._begun is future
        if not begun:  # and it never will, as `run` looks whether it is cancelling
            future.drop()
            return
        if grace_s > 0:
            with self._lock:
                if self._running is future and self._child is not None:
                    self._child.spoiled = True
                    self._child.signal(signal.SIGTERM)
            future.wait(grace_s)
        with self._lock:
            child = self._child if self._running is future else None
            if child is not None and child.alive():
                child.kill()
        # Slower ways, without the lock that the slot's thread needs to say that the call ended.
        future.wait(MOMENT_S)
        if child is not None and not future.done() and self._running is future:
            child.kill()

    def close(self) -> None:
        """End the process."""
        self._retire()


class ProcessExecutor(SlotExecutor):
    """What executors of processes share: how a call is packed, and their options.

    Args:
        n_workers: number of slots.
        max_trials_per_process: calls after which a process is replaced by a new one, which bounds
            what they can leak; None for no limit.
        inner_max_num_threads: of each BLAS and OpenMP library in a process; None shares the cores
            among the slots, where the environment does not say otherwise.
    """

    def __init__(
        self,
        n_workers: int = 1,
        max_trials_per_process: int | None = None,
        inner_max_num_threads: int | None = None,
    ) -> None:
        super().__init__(n_workers)
        self.max_trials_per_process = positive("max_trials_per_process", max_trials_per_process)
        self.inner_max_num_threads = positive("inner_max_num_threads", inner_max_num_threads)

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bytes:
        """Return the call as bytes. See `pack`."""
        return pack(function, args, kwargs)

    def environment(self) -> dict[str, str]:
        """Return the variables that limit the inner threads of numerical libraries."""
        from joblib import cpu_count

        share = max(1, cpu_count() // self.n_workers)
        limit = self.inner_max_num_threads
        return {
            name: str(limit) if limit is not None else os.environ.get(name, str(share))
            for name in THREAD_VARIABLES
        } | {"ENABLE_IPC": os.environ.get("ENABLE_IPC", "1")}  # TBB's schedulers share the cores


THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""The same as joblib's."""


def positive(name: str, value: Any) -> int | None:
    """Return an optional positive integer of the configuration.

    Raises:
        ConfigurationError: it is something else.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ConfigurationError(f"{name} must be a positive integer or null, not {value!r}.")


def _how(code: int | None) -> str:
    if code is None:
        return "died"
    if code >= 0:
        return f"ended with exit code {code} before the call returned"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return "was killed by SIGKILL (by the system for want of memory, or by hand)"
    return f"was killed by {name}"
