"""A call on the Dask worker that runs it: begun once, ended when nobody wants it, never orphaned.

Dask repeats a task whose worker went away. A trial's attempt must not be repeated under the same
attempt number (its files, its log): so a call says at the scheduler that it begins, and one that
finds itself begun already reports instead what became of its worker.

A task runs in a thread of the Dask worker, which nobody can end from outside. `stop` calls the
function's `cancel()`, where it has one; it is called through the executor (`Client.run`), and by
the worker itself when the scheduler no longer wants the task (its client was killed) and when the
worker closes.

The Dask workers import this module; whatever else they need comes with the call.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker
from distributed.utils import sync

from orion_k8s import __version__
from orion_k8s.executor.child import Reply, run_packed

PLUGIN = "orion-k8s"
LEFT = "/left"
"""What is added to a call's name in the flag that its worker sets when it closes in order."""

VERSIONS = {"Python": "{}.{}".format(*sys.version_info), "orion-k8s": __version__}
"""What must be the same on both sides: another Python reads functions wrongly, if at all, and
another orion-k8s reads what travels with them so."""

RUNNING = ("executing", "long-running")
"""States of a task on its Dask worker while its thread runs and somebody wants it."""

PATIENCE_S = 2.0
"""How long a Dask worker that closes tries to tell the scheduler so."""


@dataclass(frozen=True)
class Repeated:
    """Instead of a reply: the call had begun before, on a worker that is no more.

    Attributes:
        died: whether the worker died; else it closed in order, and no call is to blame.
    """

    died: bool


@dataclass(frozen=True)
class Unfit:
    """Instead of a reply: the Dask worker can't run the function, and would not the next time.

    Attributes:
        worker: its address.
        why: what it lacks.
    """

    worker: str
    why: str


@dataclass(eq=False)
class Running:
    """A call in a thread of this process.

    Attributes:
        function: None until it is unpickled.
        stopped: whether somebody asked to end it.
    """

    worker: Worker
    function: Any = None
    stopped: bool = False

    def begin(self, function: Any) -> None:
        """Note the function, which is called next."""
        with _lock:
            self.function = function
            if self.stopped:
                raise RuntimeError("The call was cancelled before it began.")

    def stop(self) -> bool:
        """Ask the function to end; return whether it can be asked."""
        with _lock:
            self.stopped = True
            cancel = getattr(self.function, "cancel", None)
        if callable(cancel):
            # In a thread: the worker's event loop waits for nothing.
            threading.Thread(target=cancel, name="orion-cancel-call", daemon=True).start()
        return callable(cancel)


_lock = threading.Lock()
_running: dict[str, Running] = {}
"""By name. The tests and `LocalCluster(processes=False)` have several workers in a process."""


def run_call(name: str, call: bytes, versions: Mapping[str, str]) -> Reply | Repeated | Unfit:
    """Run a packed call in this thread of a Dask worker. The call itself raises nothing.

    Other versions of orion-k8s call it, too, and must get their answer: so its name and its
    arguments never change, and neither does `Unfit`.

    Args:
        name: of the call.
        call: from `pack`.
        versions: of what packed it: `VERSIONS` there.

    Raises:
        OSError: the worker lost its scheduler.
    """
    worker = get_worker()
    for what, theirs in versions.items():
        if theirs != (here := VERSIONS.get(what)):
            why = f"it runs {what} {here}, and the functions are of {theirs}"
            return Unfit(worker.address, why)
    running = Running(worker)
    _running[name] = running
    try:
        repeated = sync(worker.loop, _begin, worker, name)
        if repeated is not None:
            assert isinstance(repeated, Repeated)
            return repeated
        reply = run_packed(call, begin=running.begin)
        if reply.unread:
            return Unfit(worker.address, f"it cannot read the function ({reply.unread})")
        return reply
    finally:
        del _running[name]


def stop(names: Iterable[str]) -> list[str]:
    """End calls that run in this process; return the names of those that could be asked to."""
    found = [(name, running) for name in names if (running := _running.get(name)) is not None]
    return [name for name, running in found if running.stop()]


async def _begin(worker: Worker, name: str) -> Repeated | None:
    """Say that the call begins; return what became of its first worker, if it had begun before."""
    if PLUGIN not in worker.plugins:
        await worker.plugin_add(Warden(), name=PLUGIN)
    if not _wanted(worker, name):
        return Repeated(died=False)
    begun = await _test_and_set(worker, name)
    if not begun:
        return None
    return Repeated(died=not await worker.scheduler.event_is_set(name=name + LEFT))


def _wanted(worker: Worker, name: str) -> bool:
    """Whether the scheduler still wants a call that is about to begin.

    It may have taken it back while what the call needs was imported, before there was a warden.
    """
    task = worker.state.tasks.get(name)
    return task is not None and task.state in RUNNING


async def _test_and_set(worker: Worker, name: str) -> bool:
    """Set a flag at the scheduler, and return whether it was set before. One round trip."""
    address = worker.scheduler.address
    comm = await worker.rpc.connect(address)
    try:
        # The scheduler answers what comes by one connection in its order.
        for operation in ("event_is_set", "event_set"):
            await comm.write({"op": operation, "name": name, "reply": True})
        before, _ = await comm.read(), await comm.read()
        assert isinstance(before, bool), before
        return before
    except BaseException:
        comm.abort()  # an answer may be on its way that nobody else must read
        raise
    finally:
        worker.rpc.reuse(address, comm)


class Warden(WorkerPlugin):  # type: ignore[misc]
    """Ends the calls of a Dask worker that nobody waits for any more."""

    def setup(self, worker: Worker) -> None:
        """Note the worker."""
        self.worker = worker

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """End a call that the scheduler took back while it ran: its client cancelled or died."""
        if start in RUNNING and finish in ("released", "cancelled"):
            stop([key])

    async def teardown(self, worker: Worker) -> None:
        """Tell the scheduler that the worker leaves in order, and end its calls."""
        names = [name for name, running in list(_running.items()) if running.worker is worker]
        stop(names)
        told = [worker.scheduler.event_set(name=name + LEFT) for name in names]
        with suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(*told), PATIENCE_S)
