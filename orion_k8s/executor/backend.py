"""Slots in a backend of joblib: dask, ray, or whatever was registered with joblib."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from queue import SimpleQueue
from typing import Any

from orion_k8s.executor.base import Ending, Outcome
from orion_k8s.executor.child import Reply, pack, run_packed, unpack
from orion_k8s.executor.slots import Slot, SlotExecutor, SlotFuture
from orion_k8s.executor.threads import Call


class Backend:
    """A backend of joblib, configured for a number of jobs.

    Joblib's own batches are handed to it, as `joblib.Parallel` does: some backends look inside.

    Args:
        backend: an instance of `joblib.parallel.ParallelBackendBase`.
        n_jobs: how many jobs to ask for.

    Raises:
        Sequential: the backend would run one call after the other.
    """

    def __init__(self, backend: Any, n_jobs: int) -> None:
        import joblib
        from joblib._parallel_backends import FallbackToBackend

        # Backends make their pools lazily, and rely on joblib.Parallel to submit one by one.
        self._lock = threading.Lock()
        self._backend = backend
        self._parallel = joblib.Parallel(n_jobs=n_jobs, backend=backend)
        try:
            self.n_jobs = int(backend.configure(n_jobs=n_jobs, parallel=self._parallel))
        except FallbackToBackend as fallback:
            raise Sequential from fallback
        # Backends for joblib < 1.5 have apply_async alone.
        new = "submit" in {n for kind in type(backend).__mro__[:-1] for n in _own(kind)}
        self._submit = backend.submit if new else backend.apply_async
        self._by_callback = bool(getattr(backend, "supports_retrieve_callback", False))
        backend.start_call()

    @property
    def shares_memory(self) -> bool:
        """Whether calls run in this process."""
        return bool(getattr(self._backend, "supports_sharedmem", False))

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a call in the backend and wait for its value.

        Raises:
            Exception: the backend could not run it.
        """
        from joblib.parallel import BatchedCalls

        batch = BatchedCalls([(function, args, {})], self._backend.get_nested_backend(), None, {})
        news: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        with self._lock:
            job = self._submit(batch, callback=lambda out: news.put(("callback", out)))
        if not self._by_callback:
            return self._backend.retrieve_result(job)[0]
        if hasattr(job, "add_done_callback"):
            # Joblib's Dask backend tells of a lost worker by its future alone.
            job.add_done_callback(lambda job: news.put(("job", job)))
        while True:
            kind, out = news.get()
            if kind == "callback":
                return self._backend.retrieve_result_callback(out)[0]
            out.result()

    def close(self, abort: bool) -> None:
        """Give the backend back.

        Args:
            abort: some of its calls may still run, and nobody waits for them.
        """
        if abort:
            self._backend.abort_everything(ensure_ready=False)
        self._backend.stop_call()
        self._backend.terminate()


class Sequential(Exception):
    """The backend would run one call after the other, in the thread that asks."""


class BackendSlot(Slot):
    """Runs a call in a backend and waits for it. Calls can't be ended: they are abandoned."""

    def __init__(self, executor: SlotExecutor, backend: Backend) -> None:
        self._executor = executor
        self._backend = backend

    def run(self, future: SlotFuture) -> Outcome:
        """Run the call there."""
        work = future.work
        try:
            if isinstance(work, Call):
                outcome = self._backend.call(work)
                assert isinstance(outcome, Outcome)
                return outcome
            return unpack(Reply(*self._backend.call(run_packed, work)))
        except BaseException as error:
            # The call itself raises nothing: either its process died, or the backend went away.
            died = isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"
            ending = Ending.CRASHED if died else Ending.LOST
            text = f"The joblib backend could not run the call: {type(error).__name__}: {error}"
            return Outcome(ending, reason=text, error=error)

    def stop(self, future: SlotFuture, grace_s: float) -> None:
        """Leave the call to itself: joblib has no way to end one."""
        self._executor.abandon(future)


def prepare(
    backend: Backend, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Return the work for a `BackendSlot`: packed, where another process runs it."""
    if backend.shares_memory:
        return Call(function, args, kwargs)
    return pack(function, args, kwargs)


def _own(kind: type) -> list[str]:
    from joblib._parallel_backends import ParallelBackendBase

    return [] if kind is ParallelBackendBase else list(vars(kind))
