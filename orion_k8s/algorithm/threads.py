"""Linear algebra on one thread.

The matrices of a suggestion are small. Many workers on one machine that each put all its cores to
them wait for each other: ten times as long, measured with 4 workers on 2 cores.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _pools() -> Any:
    return ThreadpoolController()  # it looks through all that is loaded: once


def one_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS takes one thread."""
    return _pools().limit(limits=1, user_api="blas")  # type: ignore[no-any-return]
