"""Slots that are threads of the worker's own process."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, ClassVar

from orion_k8s.executor.base import Ending, Outcome
from orion_k8s.executor.child import describe
from orion_k8s.executor.slots import MOMENT_S, Slot, SlotExecutor, SlotFuture


class Call:
    """A call that is not packed."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs

    def __call__(self) -> Outcome:
        """Run the call here; whatever it raises is an outcome."""
        try:
            return Outcome(Ending.RETURNED, self.function(*self.args, **self.kwargs))
        except BaseException as error:  # in a thread of ours, SystemExit has nothing to end
            return Outcome(Ending.FAILED, reason=describe(error), error=error)


class ThreadSlot(Slot):
    """Runs a call in the slot's own thread."""

    def __init__(self, executor: SlotExecutor) -> None:
        self._executor = executor

    def run(self, future: SlotFuture) -> Outcome:
        """Run the call here."""
        call: Call = future.work
        return call()

    def stop(self, future: SlotFuture, grace_s: float) -> None:
        """Ask the function to end, where it can be asked; past the grace, leave it to itself."""
        cancel = getattr(getattr(future.work, "function", None), "cancel", None)
        if callable(cancel):
            # `cancel` may wait as long as it likes: the future waits for the grace alone.
            Thread(target=cancel, name="orion-cancel-call", daemon=True).start()
            future.wait(grace_s + MOMENT_S)
        self._executor.abandon(future)


class Threads(SlotExecutor):
    """Runs calls in threads of this process, for calls that only wait for a process of their own.

    A Python process for each slot, as joblib's default has it, would cost memory and a start-up
    and compute nothing.
    """

    name: ClassVar[str] = "threads"

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Call:
        """Return the call as it is: nothing is pickled."""
        return Call(function, args, kwargs)

    def make_slot(self) -> ThreadSlot:
        """Return a slot that is a thread."""
        return ThreadSlot(self)
