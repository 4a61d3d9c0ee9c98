"""One call after the other, in the thread that waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from orion_k8s.errors import UsageError
from orion_k8s.executor.base import Ending, Executor, Future, Outcome
from orion_k8s.executor.child import describe
from orion_k8s.executor.slots import CANCELLED
from orion_k8s.executor.waiting import Bell


class Single(Executor):
    """Runs a call when somebody waits for it, in that thread: nothing is pickled or started.

    KeyboardInterrupt, SystemExit and other exceptions that are no `Exception` (a signal handler's
    own) go through to the waiting thread, after the call was marked as cancelled.

    Args:
        n_workers: of no effect: one call runs at a time.
    """

    name: ClassVar[str] = "singleexecutor"
    inline: ClassVar[bool] = True

    def __init__(self, n_workers: int = 1) -> None:
        super().__init__(1)
        self.bell = Bell()
        self._waiting: dict[SingleFuture, None] = {}
        self._closed = False

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        """Note the call; it runs when it is waited for."""
        if self._closed:
            raise UsageError("The executor is closed: make a new one to run more calls.")
        future = SingleFuture(self, function, args, kwargs)
        self._waiting[future] = None
        return future

    def async_get(self, futures: Iterable[Future], timeout: float | None = None) -> list[Future]:
        """Return those that have ended; if there are none, run the first one and return it.

        `timeout` does not end a call that runs. Without futures it waits for `wake()` alone, if
        there is a `timeout`.
        """
        asked = list(futures)
        waiting = [f for f in asked if isinstance(f, SingleFuture) and not f.done()]
        if len(waiting) == len(asked) and not self.bell.heard():
            if waiting:
                waiting[0].run()
            elif timeout is not None:
                self.bell.wait(lambda: False, timeout, listen=True)
        self.bell.answer()
        return [future for future in asked if future.done()]

    def wake(self) -> None:
        """Let `async_get` return without running a call."""
        self.bell.ring()

    def forget(self, future: SingleFuture) -> None:
        """Drop a call from those that wait."""
        self._waiting.pop(future, None)

    def close(self, cancel: bool = False) -> None:
        """Run the calls that nobody waited for, or cancel them."""
        self._closed = True
        for future in list(self._waiting):
            if cancel:
                future.cancel()
            else:
                future.run()


class SingleFuture(Future):
    """A call of `Single`: noted, running or ended."""

    def __init__(
        self,
        executor: Single,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._executor = executor
        self._waiting = [(function, args, kwargs)]  # whoever pops it runs it
        self._running: Any = None
        self._cancelling = False
        self._outcome: Outcome | None = None

    def done(self) -> bool:
        """Whether the call has ended."""
        return self._outcome is not None

    def outcome(self) -> Outcome:
        """Return how the call ended.

        Raises:
            RuntimeError: it has not ended.
        """
        if self._outcome is None:
            raise RuntimeError("The call has not ended yet: wait() for it first.")
        return self._outcome

    def run(self) -> None:
        """Run the call here, unless it has ended or runs already."""
        try:
            for call in self._waiting[:1]:
                self._run(*call)
        except BaseException:  # a signal handler's may come at any line
            self._finish(CANCELLED)
            raise

    def _run(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        # First it counts as running, then comes the look: `cancel`, which another thread may call
        # at any line, does it the other way round.
        self._running = function
        try:
            self._waiting.pop()
        except IndexError:  # another thread runs it, or has just cancelled it
            if self._cancelling:
                self._finish(CANCELLED)
            return
        outcome = CANCELLED
        try:
            if not self._cancelling:
                outcome = Outcome(Ending.RETURNED, function(*args, **kwargs))
        except Exception as error:
            if not self._cancelling:
                outcome = Outcome(Ending.FAILED, reason=describe(error), error=error)
        self._finish(outcome)

    def cancel(self, grace_s: float = 0.0) -> None:
        """Cancel a call that did not start; ask one that runs to end, if it can be asked.

        A running call without a `cancel()` method goes on; its result is dropped.
        """
        if self.done():
            return
        self._cancelling = True
        function = self._running
        self._waiting.clear()
        cancel = getattr(function, "cancel", None)
        if callable(cancel):
            # In a thread: this may be a signal handler that interrupted the call.
            threading.Thread(target=cancel, name="orion-cancel-call", daemon=True).start()
        else:
            self._finish(CANCELLED)

    def wait(self, timeout: float | None = None) -> None:
        """Run the call, if it did not run yet; else wait for the thread that runs it."""
        self.run()
        self._executor.bell.wait(self.done, timeout)

    def _finish(self, outcome: Outcome) -> None:
        if self._outcome is None:
            self._outcome = outcome
        self._running = None
        self._executor.forget(self)
        self._executor.bell.tell()
