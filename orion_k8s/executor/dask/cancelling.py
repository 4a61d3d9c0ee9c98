"""End calls that run in the cluster: by asking them, and by dropping those that do not answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from orion_k8s.executor.base import Outcome
from orion_k8s.executor.child import Reply
from orion_k8s.executor.dask.call import stop
from orion_k8s.executor.dask.connecting import AWAY
from orion_k8s.executor.dask.future import DaskFuture
from orion_k8s.executor.slots import CANCELLED, MOMENT_S


class Cancelling:
    """Ends calls: all that come at once with one question to each Dask worker.

    Args:
        finish: called with a call that was given up.
    """

    def __init__(self, finish: Callable[[DaskFuture, Outcome | Reply], None]) -> None:
        self._finish = finish
        self._lock = threading.RLock()  # reentrant: a signal handler may cancel, too
        self._waiting: list[tuple[DaskFuture, float]] = []

    def cancel(self, future: DaskFuture, grace_s: float, client: Any) -> None:
        """End a call within the grace and a moment. Returns at once."""
        with self._lock:
            self._waiting.append((future, grace_s))
        client.loop.add_callback(self._stop, client)

    async def _stop(self, client: Any) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        if not batch:
            return
        asked: set[str] = set()
        with suppress(*AWAY):
            asked = await asyncio.wait_for(_ask(client, {f.name for f, _ in batch}), MOMENT_S)
        for future, grace_s in batch:
            # A task that has not begun, or cannot be asked to end, is dropped at once.
            wait_s = grace_s + MOMENT_S if future.name in asked else 0.0
            asyncio.get_running_loop().call_later(wait_s, self._drop, future, client)

    def _drop(self, future: DaskFuture, client: Any) -> None:
        task = future.task
        self._finish(future, CANCELLED)
        if task is not None:
            client.loop.add_callback(task.cancel)


async def _ask(client: Any, names: set[str]) -> set[str]:
    """Ask the Dask workers to end calls; return the names of those that they could ask."""
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
