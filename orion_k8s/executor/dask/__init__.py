"""Slots in a Dask cluster.

Each call is one task of the cluster, with a key of its own (`pure=False`, no retries). Its
reply comes back as bytes; functions travel by cloudpickle, and the Dask workers need orion-k8s
installed. Calls run in the threads of the Dask workers, with everything that a person sets up
there (GPUs, plug-ins, data).

What may go wrong there
-----------------------
*The scheduler goes away* (restarted, or the connection is lost): every call that was there is
`LOST`, its trial runs again. There are no slots until the scheduler is back; the executor says so
and tries again with back-off (`watch`).

*A Dask worker goes away*: Dask repeats its tasks elsewhere, four times by default
(`allowed-failures`). A repeated call does not run: it reports, and is `LOST` (see `call`). So
an attempt of a trial runs at most once, whatever the cluster is configured to do.

*A call kills its Dask worker* (segfault, os._exit, out of memory): nobody can tell it from a
machine that was lost, so it is `LOST`; but the same call (of whatever attempt) that lost a worker
for the third time is `CRASHED`, and its trial broken. Its neighbours in the same worker are lost
with it. For them not to be blamed, calls that lost two workers run one at a time: they never meet
again (`blame`). Workers that close in order (scaled down, SIGTERM) blame nobody.

*Cancel*: `cancel()` of the callable is called on its Dask worker. A function without one goes on
in its thread, which is free when it ends (`cancelling`).
"""

from orion_k8s.errors import MissingExtra

try:
    import distributed  # noqa: F401
except ImportError as error:
    raise MissingExtra(
        "The executor dask needs the package distributed, which cannot be imported "
        f"({error}): pip install 'orion-k8s[dask]'."
    ) from error

from orion_k8s.executor.dask.executor import Dask

__all__ = ["Dask"]
