"""One call as one task of the cluster, and what its end means. Runs in Dask's event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from distributed import Event, KilledWorker

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.base import Ending, Outcome
from orion_k8s.executor.child import Reply
from orion_k8s.executor.dask.blame import Blame, lost
from orion_k8s.executor.dask.bootstrap import Portable
from orion_k8s.executor.dask.call import LEFT, VERSIONS, Repeated, Unfit
from orion_k8s.executor.dask.connecting import AWAY
from orion_k8s.executor.dask.future import DaskFuture
from orion_k8s.executor.slots import CANCELLED, MOMENT_S

log = logging.getLogger(__name__)

BIG = 1 << 20
"""Bytes above which a call travels as data, and not in the task's own description."""


async def run_task(
    future: DaskFuture,
    client: Any,
    blame: Blame,
    priority: int = 0,
    resources: Mapping[str, float] | None = None,
) -> Outcome | Reply:
    """Run a call in the cluster, and return how it ended.

    Args:
        future: the call; the task is noted there.
        client: an open `distributed.Client`.
        blame: the deaths of Dask workers so far.
        priority: of the task.
        resources: what the task takes of its Dask worker's.
    """
    async with blame.turn(future.identity):
        call = future.call
        if call is None:
            return CANCELLED
        result = await _ask(future, call, client, priority, resources)
    if isinstance(result, Repeated):
        if result.died:
            return blame.died(future.identity)
        return lost("The Dask worker closed while it ran the call")
    if isinstance(result, Reply):
        blame.survived(future.identity)
    return result


def unfit(who: str, why: str) -> Outcome:
    """Return the outcome of a call that a Dask worker can't run: that is no fault of its trial."""
    error = ConfigurationError(
        f"{who} cannot run trials: {why}. Install on all Dask workers what is installed here."
    )
    return Outcome(Ending.LOST, reason=str(error), error=error)


async def forget_task(future: DaskFuture, client: Any, result: Outcome | Reply) -> None:
    """Let the scheduler forget what it noted of a call that has ended."""
    flags = [future.name]
    if isinstance(result, Outcome) and result.ending is Ending.LOST:
        flags.append(future.name + LEFT)
    cleared = asyncio.gather(*(Event(flag, client).clear() for flag in flags))
    with suppress(Exception):  # the scheduler may be gone, or hang
        await asyncio.wait_for(cleared, MOMENT_S)


async def _ask(
    future: DaskFuture,
    call: bytes,
    client: Any,
    priority: int,
    resources: Mapping[str, float] | None,
) -> Outcome | Reply | Repeated:
    try:
        data = await client.scatter(call, hash=False) if len(call) > BIG else call
        future.task = client.submit(
            Portable(),
            future.name,
            data,
            VERSIONS,
            key=future.name,
            pure=False,
            retries=0,
            priority=priority,
            resources=resources or None,
        )
        result = await future.task
        if isinstance(result, Unfit):
            return unfit(f"The Dask worker {result.worker}", result.why)
        assert isinstance(result, Reply | Repeated)
        return result
    except KilledWorker as error:
        log.debug("%s", error)
        return Repeated(died=True)
    except AWAY as error:
        return lost("The Dask cluster lost the call", error)
    except Exception as error:
        if client.status != "running":
            return lost("The Dask cluster lost the call", error)
        if isinstance(error, ImportError):
            return unfit("A Dask worker", f"it needs orion-k8s ({error})")
        # The call itself raises nothing: what went wrong will go wrong again.
        text = f"The Dask worker could not run the call: {type(error).__name__}: {error}"
        return Outcome(Ending.CRASHED, reason=text, error=error)
