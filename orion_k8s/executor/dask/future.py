"""A call in the executor's queue or in the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orion_k8s.executor.base import Future, Outcome
from orion_k8s.executor.child import Reply, unpack
from orion_k8s.executor.waiting import Bell

Cancel = Callable[["DaskFuture", float], None]


class DaskFuture(Future):
    """A call in the executor's queue or in the cluster.

    Args:
        name: the key of its task.
        identity: the same for every attempt of one trial.
        call: the packed function and its arguments; None when the call has ended.
        bell: told when a call has ended.
        cancel: the executor's own way to end a call.

    Attributes:
        task: the future of Dask; None until the call is in the cluster.
        cancelling: whether somebody asked to end the call.
    """

    def __init__(self, name: str, identity: str, call: bytes, bell: Bell, cancel: Cancel) -> None:
        self.name = name
        self.identity = identity
        self.call: bytes | None = call
        self.task: Any = None
        self.cancelling = False
        self._bell = bell
        self._cancel = cancel
        self._result: Outcome | Reply | None = None

    def done(self) -> bool:
        """Whether the call has ended."""
        return self._result is not None

    def outcome(self) -> Outcome:
        """Return how the call ended.

        Raises:
            RuntimeError: it has not ended.
        """
        result = self._result
        if result is None:
            raise RuntimeError("The call has not ended yet: wait() for it first.")
        if isinstance(result, Reply):
            # Here, and not in Dask's event loop: it may be big.
            self._result = result = unpack(result)
        return result

    def cancel(self, grace_s: float = 0.0) -> None:
        """End the call. See `Future.cancel`."""
        self._cancel(self, grace_s)

    def wait(self, timeout: float | None = None) -> None:
        """Return when the call has ended, or after `timeout` seconds."""
        self._bell.wait(self.done, timeout)

    def end(self, result: Outcome | Reply) -> None:
        """Note how the call ended. For the executor."""
        self._result = result
        self.call = self.task = None
