"""A task that every scheduler and Dask worker can read, whatever is installed there.

A Dask worker that can't unpickle what it is sent closes, and the next one that gets the task does
as well: one image without this package would cost a shared cluster all its workers. So a task
travels as the source of a function that needs nothing but Dask, whatever its Python; what it lacks
it finds out when it runs, and says so.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

PYTHON = "{}.{}".format(*sys.version_info)


def run_anywhere(name: str, call: bytes, python: str) -> Any:
    """Run a packed call on a Dask worker: see `run_call`, or return why that cannot be.

    Args:
        name: of the call.
        call: from `pack`.
        python: the version that packed it. Another one reads functions wrongly, if at all.

    Returns:
        what `run_call` does; or a pair of texts, the worker's address and what it lacks.
    """
    import sys  # this source comes without what stands around it

    from distributed import get_worker

    here = "{}.{}".format(*sys.version_info)
    if here != python:
        return get_worker().address, f"it runs Python {here}, and the functions are of {python}"
    try:
        from orion_k8s.executor.dask.call import run_call
    except ImportError as error:
        return get_worker().address, f"it needs orion-k8s ({error})"
    reply = run_call(name, call)
    if unread := getattr(reply, "unread", ""):
        return get_worker().address, f"it cannot read the function ({unread})"
    return reply


class Portable:
    """Pickles as an expression, and comes out as the function itself."""

    def __call__(self, name: str, call: bytes, python: str) -> Any:
        """Run a call: see `run_anywhere`."""
        return run_anywhere(name, call, python)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes the function elsewhere."""
        return eval, (EXPRESSION,)


EXPRESSION = "(lambda scope: exec({!r}, scope) or scope[{!r}])({{}})".format(
    "from __future__ import annotations\n" + inspect.getsource(run_anywhere),
    run_anywhere.__name__,
)
