"""Which call kills its Dask workers: told apart from machines that are lost by the third death."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from orion_k8s.executor.base import Ending, Outcome
from orion_k8s.trial import Trial

DEATHS = 3
"""A call that lost so many Dask workers is broken."""


class Blame:
    """Counts, for each call, the Dask workers that died while they ran it."""

    def __init__(self) -> None:
        self._deaths: Counter[str] = Counter()
        self._alone = asyncio.Lock()

    def turn(self, identity: str) -> AbstractAsyncContextManager[None]:
        """Return what a call has to hold while it runs: those one death short run one at a time.

        So they never die of each other.
        """
        return self._alone if self._deaths[identity] >= DEATHS - 1 else nullcontext()

    def died(self, identity: str) -> Outcome:
        """Note that a call's worker died; return what that means for the call."""
        self._deaths[identity] += 1
        deaths = self._deaths[identity]
        if deaths < DEATHS:
            return lost("The Dask worker died while it ran the call")
        del self._deaths[identity]
        return Outcome(
            Ending.CRASHED,
            reason=f"Each of {deaths} Dask workers died while it ran the call (a crash, or out of "
            "memory): see their logs.",
        )

    def survived(self, identity: str) -> None:
        """Forget the deaths: the call ended, and its worker lives."""
        self._deaths.pop(identity, None)

    def new_loop(self) -> None:
        """Take a new lock: one belongs to the event loop of one client."""
        self._alone = asyncio.Lock()


def identity(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str:
    """Return what is the same for every attempt of a trial."""
    told = getattr(function, "identity", None)
    if isinstance(told, str):
        return told
    arguments = [*enumerate(args), *sorted(kwargs.items())]
    shown = [f"{k}={v.id if isinstance(v, Trial) else repr(v)}" for k, v in arguments]
    return f"{getattr(function, '__qualname__', type(function).__name__)}({', '.join(shown)})"


def lost(what: str, error: BaseException | None = None) -> Outcome:
    """Return the outcome of a call that is no more, through no fault of its own."""
    why = f" ({' '.join(str(error).split())[:300] or type(error).__name__})" if error else ""
    return Outcome(Ending.LOST, reason=f"{what}{why}.", error=error)
