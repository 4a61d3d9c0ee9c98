"""The executor: a queue of calls, as many of them in the cluster as there is room for."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from orion_k8s.errors import ConfigurationError, UsageError
from orion_k8s.executor.base import Executor, Future, Outcome
from orion_k8s.executor.child import Reply, pack
from orion_k8s.executor.dask.arguments import check_priority, check_resources
from orion_k8s.executor.dask.blame import Blame, identity, lost
from orion_k8s.executor.dask.cancelling import Cancelling
from orion_k8s.executor.dask.cluster import Cluster
from orion_k8s.executor.dask.future import DaskFuture
from orion_k8s.executor.dask.task import forget_task, run_task
from orion_k8s.executor.dask.watch import Watch
from orion_k8s.executor.slots import CANCELLED
from orion_k8s.executor.waiting import Bell
from orion_k8s.executor.workers import flag

FORGET_S = 0.1
"""How long after its end the scheduler is told that a call is of no interest any more."""


class Dask(Executor):
    """Runs calls in a Dask cluster.

    Args:
        n_workers: the most calls that run at once; None for as many as the cluster has room for,
            while it grows and shrinks.
        client: a `distributed.Client`, which is left open; None to make one.
        resources: what a call takes of the workers' resources, such as {"GPU": 1}.
        priority: of the calls in the cluster; higher ones come first.
        shared_files: whether the Dask workers see the folder of the trials at the same path.
        **arguments: of `distributed.Client`: address, scheduler_file, security, timeout, name, ….
            Without an address a cluster of `n_workers` processes is made on this machine, and
            arguments of `distributed.LocalCluster` are taken, too.

    Raises:
        MissingExtra: the package distributed is not installed.
        ConfigurationError: an argument that does not exist, or a scheduler that cannot be reached,
            that does not trust our certificate, or that is of another version.
        ExecutorUnavailable: the scheduler does not answer.
    """

    name: ClassVar[str] = "dask"
    files_here = False

    def __init__(
        self,
        n_workers: int | None = None,
        client: Any = None,
        resources: Mapping[str, float] | None = None,
        priority: int = 0,
        shared_files: bool = False,
        **arguments: Any,
    ) -> None:
        shared_files = flag("shared_files", shared_files)
        checked = check_resources(resources), check_priority(priority)
        cluster = Cluster(client, n_workers, checked[0], arguments)
        self.files_here, self.shared_files = cluster.local, shared_files
        self._begin(cluster, n_workers, checked[1])

    def _begin(self, cluster: Cluster, limit: int | None, priority: int) -> None:
        """Take calls from now on. For an executor that makes its cluster otherwise, too.

        Args:
            cluster: where they run; it is closed with the executor.
            limit: the most calls that run at once; None for as many as there is room for.
            priority: of the calls.
        """
        self._error: ConfigurationError | None = None
        self._limit = limit
        self._priority = priority
        self._cluster = cluster
        self._blame = Blame()
        self._watch = Watch(
            self._cluster,
            looked=self._looked,
            lost=self._lose_queue,
            reopened=self._blame.new_loop,
            failed=self._fail,
        )
        super().__init__(self.slots())
        self._bell = Bell()
        # Reentrant: a signal handler may cancel while the same thread submits.
        self._lock = threading.RLock()
        self._queue: deque[DaskFuture] = deque()
        self._unfinished: set[DaskFuture] = set()
        self._active = 0
        self._cancelling = Cancelling(self._finish)
        self._closed = False
        self._pid = os.getpid()
        self._watch.start()

    # --- the contract ----------------------------------------------------------------------------

    def slots(self) -> int:
        """Return how many calls can run at once now: none while the scheduler is away.

        One where none ever will: then `submit` says why.
        """
        if self._error is not None:
            return 1
        room = self._watch.room()
        if room is None:
            return 0
        # A cluster without workers may wait for a first task before it starts one.
        room = max(room, 1)
        return room if self._limit is None else min(room, self._limit)

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        """Start a call in the cluster, or queue it. See `Executor.submit`."""
        if os.getpid() != self._pid:  # its threads did not come along, and its lock may be held
            raise UsageError(
                "This executor belongs to the process that this one was forked from: make a new "
                "one here."
            )
        name = f"{getattr(function, '__name__', type(function).__name__)}-{uuid.uuid4().hex}"
        call = pack(function, args, kwargs)
        future = DaskFuture(name, identity(function, args, kwargs), call, self._bell, self._cancel)
        with self._lock:
            if self._closed:
                raise UsageError("The executor is closed: make a new one to run more calls.")
            if self._error is not None:
                raise self._error
            self._unfinished.add(future)
            self._queue.append(future)
        self._fill()
        return future

    def async_get(self, futures: Iterable[Future], timeout: float | None = None) -> list[Future]:
        """Return the futures that have ended. See `Executor.async_get`."""
        asked = list(futures)
        if asked or timeout is not None:
            self._bell.wait(lambda: any(f.done() for f in asked), timeout, listen=True)
        self._bell.answer()
        return [future for future in asked if future.done()]

    def wake(self) -> None:
        """Let `async_get` return now, or the next one, if none waits."""
        self._bell.ring()

    def close(self, cancel: bool = False) -> None:
        """End the executor. A client that was given is left open."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            closed, self._closed = self._closed, True
            unfinished = list(self._unfinished)
        if cancel:
            for future in unfinished:
                future.cancel()
        self._bell.wait(lambda: not self._unfinished and not self._active)
        self._give_up()
        self._watch.close()
        if not closed:
            self._cluster.close()

    def _give_up(self) -> None:
        """Let a connection that is being made anew in another thread come to an end soon."""

    # --- into the cluster ------------------------------------------------------------------------

    def _fill(self) -> None:
        """Send calls from the queue to the cluster while there is room."""
        with self._lock:
            room = self.slots() - (len(self._unfinished) - len(self._queue))
            while room > 0 and self._queue:
                future = self._queue.popleft()
                room -= 1
                self._active += 1
                client = self._cluster.client
                client.loop.add_callback(self._run, future, client)

    async def _run(self, future: DaskFuture, client: Any) -> None:
        """Run a call in the cluster, and say how it ended. In Dask's event loop."""
        try:
            result = await run_task(
                future, client, self._blame, self._priority, self._cluster.resources
            )
            if isinstance(result, Outcome) and isinstance(result.error, ConfigurationError):
                self._fail(result.error)
            task = future.task
            self._finish(future, result)
            # Not now: a message keeps those that follow within a moment waiting, and a task that
            # is let go is one.
            await asyncio.sleep(FORGET_S)
            del task
            await forget_task(future, client, result)
        finally:
            with self._lock:
                self._active -= 1
            self._bell.tell()

    def _finish(self, future: DaskFuture, result: Outcome | Reply) -> None:
        """Say how a call ended. The first word counts."""
        with self._lock:
            if not future.done():
                returned = isinstance(result, Reply) and result.value is not None
                future.end(CANCELLED if future.cancelling and not returned else result)
                self._unfinished.discard(future)
        self._bell.tell()
        self._fill()

    def _cancel(self, future: DaskFuture, grace_s: float) -> None:
        """End a call: see `Future.cancel`."""
        with self._lock:
            if future.done():
                return
            future.cancelling = True
            if future in self._queue:
                self._queue.remove(future)
                self._finish(future, CANCELLED)
            else:
                self._cancelling.cancel(future, grace_s, self._cluster.client)

    # --- what the watch sees ---------------------------------------------------------------------

    def _looked(self, changed: bool) -> None:
        # Always: the client may have lost and found the scheduler between two looks.
        self._fill()
        if changed:
            self.wake()

    def _lose_queue(self) -> None:
        """Let the calls that wait be lost, too: others may run them meanwhile."""
        with self._lock:
            while self._queue:
                self._finish(self._queue.popleft(), lost("The Dask scheduler is away"))

    def _fail(self, error: ConfigurationError) -> None:
        self._error = error
        self.wake()
