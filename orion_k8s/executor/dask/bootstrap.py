"""A task that every scheduler and Dask worker can read, whatever is installed there.

A Dask worker that can't unpickle what it is sent closes, and the next one that gets the task does
as well: one image without this package would cost a shared cluster all its workers. So a task
travels as an expression that needs nothing but Python, and imports what it needs when it runs.
"""

from __future__ import annotations

from typing import Any

from orion_k8s.executor.dask import call

EXPRESSION = (
    "lambda *arguments: "
    f"__import__({call.__name__!r}, fromlist=['*']).{call.run_call.__name__}(*arguments)"
)


class Portable:
    """`run_call` on this side; pickles as an expression, and comes out as what calls it there."""

    def __call__(self, *arguments: Any) -> Any:
        """Run a call: see `run_call`."""
        return call.run_call(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes the function elsewhere."""
        return eval, (EXPRESSION,)
