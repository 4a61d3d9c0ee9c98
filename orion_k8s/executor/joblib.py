"""The default executor: joblib's backends, or the one that the caller's own context asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from orion_k8s.errors import ConfigurationError, MissingExtra
from orion_k8s.executor.backend import Backend, BackendSlot, Sequential, prepare
from orion_k8s.executor.processes import ProcessExecutor, ProcessSlot, positive
from orion_k8s.executor.slots import Slot, SlotExecutor
from orion_k8s.executor.threads import Call, ThreadSlot
from orion_k8s.executor.workers import count_workers


class Joblib(SlotExecutor):
    """Runs calls in a backend of joblib: loky, if nothing else is asked for.

    An outer `joblib.parallel_config(...)` or `joblib.parallel_backend(...)` and its arguments win
    over what is configured here.

    `loky` and `multiprocessing` get one pool of one process a slot, so that a crash ends its own
    call alone and a call can be cancelled (see `processes`); `threading` gets threads of ours.
    Any other backend runs the calls its own way; they can't be cancelled, only abandoned.

    Args:
        n_workers: number of slots; -1 for all cores; None for what the outer context says, else 1.
        backend: name or instance of a backend of joblib.
        max_trials_per_process: see `ProcessExecutor`.
        inner_max_num_threads: see `ProcessExecutor`.
        **arguments: of the backend.

    Raises:
        ConfigurationError: an unknown backend, or an argument that it does not take.
    """

    name: ClassVar[str] = "joblib"

    def __init__(
        self,
        n_workers: int | None = None,
        backend: Any = None,
        max_trials_per_process: int | None = None,
        inner_max_num_threads: int | None = None,
        **arguments: Any,
    ) -> None:
        positive("max_trials_per_process", max_trials_per_process)
        positive("inner_max_num_threads", inner_max_num_threads)
        chosen, n_jobs = _outer()
        if chosen is None:
            chosen = _backend(backend, inner_max_num_threads, arguments)
        if n_jobs is None:
            n_jobs = chosen.default_n_jobs if n_workers is None else count_workers(n_workers)
            limit = n_workers
        else:
            limit = None
        super().__init__(_count(n_jobs))
        self._backend: Backend | None = None
        self._processes: ProcessExecutor | None = None
        self._choose(chosen, max_trials_per_process, inner_max_num_threads)
        if limit is not None:
            # A cluster says how many places it has, and not how many are wanted.
            self.n_workers = min(self.n_workers, count_workers(limit))

    def _choose(
        self, chosen: Any, max_trials_per_process: int | None, inner_max_num_threads: int | None
    ) -> None:
        from joblib import _parallel_backends as known

        kind = type(chosen)
        limits = (
            self.n_workers,
            max_trials_per_process,
            getattr(chosen, "inner_max_num_threads", None) or inner_max_num_threads,
        )
        if kind is known.LokyBackend:
            self._processes = Loky(*limits, **_loky_arguments(chosen))
        elif kind is known.MultiprocessingBackend:
            from orion_k8s.executor.pool import Pool

            # Its own pool waits for ever for a call whose process died.
            self._processes = Pool(*limits)
        elif kind is known.SequentialBackend:
            self.n_workers = 1
        elif kind is not known.ThreadingBackend:
            try:
                self._backend = Backend(chosen, self.n_workers)
                self.n_workers = self._backend.n_jobs
                self.files_here = False  # it may run them anywhere
            except Sequential:
                self.n_workers = 1

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the work: packed, where another process runs it."""
        if self._processes is not None:
            return self._processes.prepare(function, args, kwargs)
        if self._backend is not None:
            return prepare(self._backend, function, args, kwargs)
        return Call(function, args, kwargs)

    def make_slot(self) -> Slot:
        """Return a slot of the backend."""
        if self._processes is not None:
            return self._processes.make_slot()
        if self._backend is not None:
            return BackendSlot(self, self._backend)
        return ThreadSlot(self)

    def close(self, cancel: bool = False) -> None:
        """End the executor, and give the backend back."""
        super().close(cancel)
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.close(abort=cancel)


class Loky(ProcessExecutor):
    """The slots of the backend `loky`.

    Args:
        n_workers, max_trials_per_process, inner_max_num_threads: see `ProcessExecutor`.
        initializer, initargs: what a new process calls first.
        idle_worker_timeout: seconds after which an idle process ends.
    """

    name: ClassVar[str] = "loky"

    def __init__(
        self,
        n_workers: int = 1,
        max_trials_per_process: int | None = None,
        inner_max_num_threads: int | None = None,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
        idle_worker_timeout: float | None = None,
    ) -> None:
        super().__init__(n_workers, max_trials_per_process, inner_max_num_threads)
        self._pool = {
            "initializer": initializer,
            "initargs": initargs,
            "timeout": idle_worker_timeout,
        }

    def make_slot(self) -> ProcessSlot:
        """Return a slot with a pool of loky."""
        return ProcessSlot(self._make_pool, self.max_trials_per_process)

    def _make_pool(self) -> Any:
        from joblib.externals.loky import ProcessPoolExecutor

        return ProcessPoolExecutor(1, env=self.environment(), **self._pool)


LOKY_ARGUMENTS = ("initializer", "initargs", "idle_worker_timeout")


def _outer() -> tuple[Any, int | None]:
    """Return what an outer context of joblib asks for: a backend and n_jobs, None for each unsaid.

    Without a context joblib makes a new instance of its default backend at every look.
    """
    from joblib import _parallel_backends as known
    from joblib.parallel import get_active_backend

    backend, n_jobs = get_active_backend()
    again, _ = get_active_backend()
    said = backend is again or type(backend) is not known.LokyBackend
    return (backend if said else None), n_jobs


def _count(n_jobs: int) -> int:
    """Return a number of jobs as joblib counts: -1 for all cores, -2 for all but one."""
    if n_jobs < -1:
        from joblib import cpu_count

        return max(int(cpu_count()) + 1 + n_jobs, 1)
    return count_workers(n_jobs)


def _backend(backend: Any, inner_max_num_threads: int | None, arguments: dict[str, Any]) -> Any:
    """Return an instance of the backend that the configuration names."""
    from joblib import _parallel_backends as known
    from joblib.parallel import BACKENDS, EXTERNAL_BACKENDS

    if backend is None:
        backend = "loky"
    if not isinstance(backend, str):
        if not isinstance(backend, known.ParallelBackendBase):
            raise ConfigurationError(
                f"backend must be the name of a backend of joblib, not {backend!r}."
            )
        _refuse(arguments, (), "a backend that is given as an instance")
        return backend
    name = backend.lower() if backend.lower() in BACKENDS else backend
    if name not in BACKENDS and name in EXTERNAL_BACKENDS:
        try:
            EXTERNAL_BACKENDS[name]()
        except ImportError as error:
            raise MissingExtra(
                f"The joblib backend {name} needs a package that is not installed ({error})."
            ) from error
    if name not in BACKENDS:
        raise ConfigurationError(
            f"joblib knows no backend {backend!r}, only: "
            f"{', '.join(sorted({*BACKENDS, *EXTERNAL_BACKENDS}))}."
        )
    kind = BACKENDS[name]
    if kind is known.LokyBackend:
        _refuse(arguments, LOKY_ARGUMENTS, "loky")
    elif kind in (known.ThreadingBackend, known.SequentialBackend, known.MultiprocessingBackend):
        _refuse(arguments, (), name)
    try:
        made = kind(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"The joblib backend {name} refuses its arguments: {error}"
        ) from error
    if inner_max_num_threads is not None:
        made.inner_max_num_threads = inner_max_num_threads
    if made.nesting_level is None:
        made.nesting_level = 0
    return made


def _refuse(arguments: dict[str, Any], taken: tuple[str, ...], what: str) -> None:
    for name in arguments:
        if name not in taken:
            known = ["backend", "inner_max_num_threads", "max_trials_per_process", *taken]
            raise ConfigurationError(
                f"The executor joblib takes no argument {name!r} for {what}, only: "
                f"{', '.join(known)}."
            )


def _loky_arguments(backend: Any) -> dict[str, Any]:
    """Return the arguments of an outer context that mean something for a pool of one process."""
    given = getattr(backend, "backend_kwargs", {})
    return {name: given[name] for name in LOKY_ARGUMENTS if name in given}
