"""Slots in a Dask cluster.

Each call is one task of the cluster, with a key of its own (`pure=False`, no retries). Its
reply comes back as bytes; functions travel by cloudpickle, and the Dask workers need orion-k8s
installed. Calls run in the threads of the Dask workers, with everything that a person sets up
there (GPUs, plug-ins, data).

What may go wrong there
-----------------------
*The scheduler goes away* (restarted, or the connection is lost): every call that was there is
`LOST`, its trial runs again. There are no slots until the scheduler is back; the executor says so
and tries again with back-off.

*A Dask worker goes away*: Dask repeats its tasks elsewhere, four times by default
(`allowed-failures`). A repeated call does not run: it reports, and is `LOST` (see `dask_call`). So
an attempt of a trial runs at most once, whatever the cluster is configured to do.

*A call kills its Dask worker* (segfault, os._exit, out of memory): nobody can tell it from a
machine that was lost, so it is `LOST`; but the same call (of whatever attempt) that lost a worker
for the third time is `CRASHED`, and its trial broken. Its neighbours in the same worker are lost
with it. For them not to be blamed, calls that lost two workers run one at a time: they never meet
again. Workers that close in order (scaled down, SIGTERM) blame nobody.

*Cancel*: `cancel()` of the callable is called on its Dask worker. A function without one goes on
in its thread, which is free when it ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from orion_k8s.errors import ConfigurationError, UsageError
from orion_k8s.executor.base import Ending, Executor, Future, Outcome
from orion_k8s.executor.child import Reply, pack, unpack
from orion_k8s.executor.dask_cluster import AWAY, ClientClosed, Cluster
from orion_k8s.executor.slots import CANCELLED, MOMENT_S
from orion_k8s.executor.waiting import Bell
from orion_k8s.trial import Trial

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often the executor asks the scheduler how many threads there are."""

BACKOFF_S = (1.0, 60.0)
"""The first and the longest wait before another try to reach a scheduler."""

DEATHS = 3
"""A call that lost so many Dask workers is broken."""

BIG = 1 << 20
"""Bytes above which a call travels as data, and not in the task's own description."""


class DaskFuture(Future):
    """A call in the executor's queue or in the cluster.

    Attributes:
        name: the key of its task.
        identity: the same for every attempt of one trial.
        task: the future of Dask; None until the call is in the cluster.
        cancelling: whether somebody asked to end the call.
    """

    def __init__(self, executor: Dask, name: str, identity: str, call: bytes) -> None:
        self.name = name
        self.identity = identity
        self.call: bytes | None = call
        self.task: Any = None
        self.cancelling = False
        self._executor = executor
        self._result: Outcome | Reply | None = None

    def done(self) -> bool:
        """Whether the call has ended."""
        return self._result is not None

    def outcome(self) -> Outcome:
        """Return how the call ended.

        Raises:
            RuntimeError: it has not ended.
        """
        result = self._result
        if result is None:
            raise RuntimeError("The call has not ended yet: wait() for it first.")
        if isinstance(result, Reply):
            # Here, and not in Dask's event loop: it may be big.
            self._result = result = unpack(result)
        return result

    def cancel(self, grace_s: float = 0.0) -> None:
        """End the call. See `Future.cancel`."""
        self._executor.cancel(self, grace_s)

    def wait(self, timeout: float | None = None) -> None:
        """Return when the call has ended, or after `timeout` seconds."""
        self._executor.bell.wait(self.done, timeout)

    def end(self, result: Outcome | Reply) -> None:
        """Note how the call ended. For the executor."""
        self._result = result
        self.call = self.task = None


class Dask(Executor):
    """Runs calls in a Dask cluster.

    Args:
        n_workers: the most calls that run at once; None for as many as the cluster has room for,
            while it grows and shrinks.
        client: a `distributed.Client`, which is left open; None to make one.
        resources: what a call takes of the workers' resources, such as {"GPU": 1}.
        priority: of the calls in the cluster; higher ones come first.
        **arguments: of `distributed.Client`: address, scheduler_file, security, timeout, name, ….
            Without an address a cluster of `n_workers` processes is made on this machine, and
            arguments of `distributed.LocalCluster` are taken, too.

    Raises:
        MissingExtra: the package distributed is not installed.
        ConfigurationError: an argument that does not exist, or a scheduler that cannot be reached,
            that does not trust our certificate, or that is of another version.
    """

    name: ClassVar[str] = "dask"

    def __init__(
        self,
        n_workers: int | None = None,
        client: Any = None,
        resources: Mapping[str, float] | None = None,
        priority: int = 0,
        **arguments: Any,
    ) -> None:
        self._limit = n_workers
        self._resources = dict(resources or {})
        self._priority = priority
        self._cluster = Cluster(client, n_workers, self._resources, arguments)
        self._room = self._cluster.count()
        super().__init__(self.slots())
        self.bell = Bell()
        # Reentrant: a signal handler may cancel while the same thread submits.
        self._lock = threading.RLock()
        self._queue: deque[DaskFuture] = deque()
        self._unfinished: set[DaskFuture] = set()
        self._active = 0
        self._stopping: list[tuple[DaskFuture, float]] = []
        self._deaths: Counter[str] = Counter()
        self._suspects = asyncio.Lock()
        self._error: ConfigurationError | None = None
        self._closed = False
        self._closing = threading.Event()
        self._pid = os.getpid()
        self._watch = threading.Thread(target=self._look, name="orion-dask", daemon=True)
        self._watch.start()

    # --- the contract ----------------------------------------------------------------------------

    def slots(self) -> int:
        """Return how many calls can run at once now: none while the scheduler is away."""
        if not self._cluster.connected():
            return 0
        # A cluster without workers may wait for a first task before it starts one.
        room = max(self._room, 1)
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
        future = DaskFuture(self, name, _identity(function, args, kwargs), call)
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
            self.bell.wait(lambda: any(f.done() for f in asked), timeout, listen=True)
        self.bell.answer()
        return [future for future in asked if future.done()]

    def wake(self) -> None:
        """Let `async_get` return now, or the next one, if none waits."""
        self.bell.ring()

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
        self.bell.wait(lambda: not self._unfinished and not self._active)
        self._closing.set()
        self._watch.join()
        if not closed:
            self._cluster.close()

    # --- into the cluster ------------------------------------------------------------------------

    def _fill(self) -> None:
        """Send calls from the queue to the cluster while there is room."""
        with self._lock:
            room = self.slots() - (len(self._unfinished) - len(self._queue))
            while room > 0 and self._queue:
                future = self._queue.popleft()
                room -= 1
                self._active += 1
                self._cluster.client.loop.add_callback(self._run, future, self._cluster.client)

    async def _run(self, future: DaskFuture, client: Any) -> None:
        """Run a call in the cluster, and say how it ended. In Dask's event loop, as what follows.

        What the scheduler notes of it is forgotten afterwards.
        """
        from distributed import Event

        from orion_k8s.executor.dask_call import LEFT

        try:
            if self._deaths[future.identity] < DEATHS - 1:
                result = await self._ask(future, client)
            else:
                async with self._suspects:
                    result = await self._ask(future, client)
            self._finish(future, result)
            with suppress(Exception):  # it is of no use any more, the scheduler may be gone
                await Event(future.name, client).clear()
                if isinstance(result, Outcome) and result.ending is Ending.LOST:
                    await Event(future.name + LEFT, client).clear()
        finally:
            with self._lock:
                self._active -= 1
            self.bell.tell()

    async def _ask(self, future: DaskFuture, client: Any) -> Outcome | Reply:
        """Run a call's task, and return how it ended."""
        from distributed import KilledWorker

        from orion_k8s.executor.dask_call import Repeated, run_call

        call: Any = future.call
        if call is None:
            return CANCELLED
        try:
            if len(call) > BIG:
                call = await client.scatter(call, hash=False)
            future.task = client.submit(
                run_call,
                future.name,
                call,
                key=future.name,
                pure=False,
                retries=0,
                priority=self._priority,
                resources=self._resources or None,
            )
            result = await future.task
        except KilledWorker as error:
            result = Repeated(died=True)
            log.debug("%s", error)
        except AWAY as error:
            return _lost("The Dask cluster lost the call", error)
        except Exception as error:
            if client.status != "running":
                return _lost("The Dask cluster lost the call", error)
            # The call itself raises nothing: what went wrong will go wrong again.
            text = f"The Dask worker could not run the call: {type(error).__name__}: {error}"
            if isinstance(error, ModuleNotFoundError):
                text += ". The Dask workers need orion-k8s and what the function imports."
            return Outcome(Ending.CRASHED, reason=text, error=error)
        if isinstance(result, Repeated):
            return self._after(future, result)
        self._deaths.pop(future.identity, None)
        assert isinstance(result, Reply)
        return result

    def _after(self, future: DaskFuture, repeated: Any) -> Outcome:
        """Return the outcome of a call whose Dask worker went away."""
        if not repeated.died:
            return _lost("The Dask worker closed while it ran the call")
        self._deaths[future.identity] += 1
        deaths = self._deaths[future.identity]
        if deaths < DEATHS:
            return _lost("The Dask worker died while it ran the call")
        del self._deaths[future.identity]
        return Outcome(
            Ending.CRASHED,
            reason=f"Each of {deaths} Dask workers died while it ran the call (a crash, or out of "
            "memory): see their logs.",
        )

    def _finish(self, future: DaskFuture, result: Outcome | Reply) -> None:
        """Say how a call ended. The first word counts."""
        with self._lock:
            if not future.done():
                returned = isinstance(result, Reply) and result.value is not None
                future.end(CANCELLED if future.cancelling and not returned else result)
                self._unfinished.discard(future)
        self.bell.tell()
        self._fill()

    # --- cancel ----------------------------------------------------------------------------------

    def cancel(self, future: DaskFuture, grace_s: float) -> None:
        """End a call: see `Future.cancel`."""
        with self._lock:
            if future.done():
                return
            future.cancelling = True
            if future in self._queue:
                self._queue.remove(future)
                self._finish(future, CANCELLED)
                return
            self._stopping.append((future, grace_s))
            self._cluster.client.loop.add_callback(self._stop, self._cluster.client)

    async def _stop(self, client: Any) -> None:
        """End the calls that wait for it: all with one question to each Dask worker."""
        with self._lock:
            batch, self._stopping = self._stopping, []
        if not batch:
            return
        asked: set[str] = set()
        with suppress(*AWAY):
            asked = await asyncio.wait_for(
                _stop_there(client, {f.name for f, _ in batch}), MOMENT_S
            )
        for future, grace_s in batch:
            # A task that has not begun, or cannot be asked to end, is dropped at once.
            wait_s = grace_s + MOMENT_S if future.name in asked else 0.0
            asyncio.get_running_loop().call_later(wait_s, self._drop, future, client)

    def _drop(self, future: DaskFuture, client: Any) -> None:
        """Give a call up that was cancelled."""
        task = future.task
        self._finish(future, CANCELLED)
        if task is not None:
            client.loop.add_callback(task.cancel)

    # --- the cluster's size, and outages ---------------------------------------------------------

    def _look(self) -> None:
        """Follow the cluster's size, and reach its scheduler again where it goes away."""
        away_since: float | None = None
        while not self._closing.wait(LOOK_S):
            try:
                room = self._cluster.count() if self._cluster.connected() else None
            except Exception as error:  # its client may close meanwhile
                log.debug("the Dask scheduler does not answer: %s", error)
                room = None
            if room is None:
                if away_since is None:
                    away_since = time.monotonic()
                    self._lose_queue()
                    log.warning(
                        "the Dask scheduler %s is away: its trials run again when it is back",
                        self._cluster.address,
                    )
                self._reach()
                continue
            if away_since is not None:
                seconds = time.monotonic() - away_since
                log.warning("the Dask scheduler is back after %.0f s", seconds)
                away_since, self._room = None, -1
            if room != self._room:
                self._room = room
                self._fill()
                self.wake()

    def _reach(self) -> None:
        """Wait until Dask's client has reached the scheduler, or replace one that gave up."""
        wait_s = BACKOFF_S[0]
        while self._cluster.client.status == "closed":
            try:
                self._cluster.reopen()
                self._suspects = asyncio.Lock()
                return
            except ClientClosed as error:
                self._error = error
                self.wake()
                self._closing.wait()
                return
            except ConfigurationError as error:
                log.warning("%s The next try comes in %.0f s.", error, wait_s)
            if self._closing.wait(wait_s * random.uniform(0.5, 1.0)):
                return
            wait_s = min(2 * wait_s, BACKOFF_S[1])

    def _lose_queue(self) -> None:
        """Let the calls that wait be lost, too: others may run them meanwhile."""
        with self._lock:
            while self._queue:
                self._finish(self._queue.popleft(), _lost("The Dask scheduler is away"))


async def _stop_there(client: Any, names: set[str]) -> set[str]:
    """Ask the Dask workers to end calls; return the names of those that they could ask."""
    from orion_k8s.executor.dask_call import stop

    where = {
        worker: sorted(names.intersection(keys))
        for worker, keys in (await client.processing()).items()
        if names.intersection(keys)
    }
    answers = await asyncio.gather(
        *(
            client.run(stop, there, workers=[worker], on_error="ignore")
            for worker, there in where.items()
        )
    )
    return {name for answer in answers for asked in answer.values() for name in asked}


def _identity(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str:
    """Return what is the same for every attempt of a trial."""
    told = getattr(function, "identity", None)
    if isinstance(told, str):
        return told
    arguments = [*enumerate(args), *sorted(kwargs.items())]
    shown = [f"{k}={v.id if isinstance(v, Trial) else repr(v)}" for k, v in arguments]
    return f"{getattr(function, '__qualname__', type(function).__name__)}({', '.join(shown)})"


def _lost(what: str, error: BaseException | None = None) -> Outcome:
    why = f" ({' '.join(str(error).split())[:300] or type(error).__name__})" if error else ""
    return Outcome(Ending.LOST, reason=f"{what}{why}.", error=error)
