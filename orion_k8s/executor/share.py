"""A part of another executor's slots."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from orion_k8s.executor.base import Executor, Future


class Share(Executor):
    """Some of the slots of an executor that belongs to somebody else, and is left open.

    Args:
        whole: the executor.
        n_workers: how many of its slots.
    """

    name: ClassVar[str] = "share"

    def __init__(self, whole: Executor, n_workers: int) -> None:
        super().__init__(n_workers)
        self.files_here, self.shared_files = whole.files_here, whole.shared_files
        self._whole = whole

    def slots(self) -> int:
        """Return how many calls can run at once now."""
        return min(self.n_workers, self._whole.slots())

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        """Start a call in the executor."""
        return self._whole.submit(function, *args, **kwargs)

    def async_get(self, futures: Iterable[Future], timeout: float | None = None) -> list[Future]:
        """Return the futures that have ended."""
        return self._whole.async_get(futures, timeout)

    def wake(self) -> None:
        """Let `async_get` return now."""
        self._whole.wake()

    def close(self, cancel: bool = False) -> None:
        """Do nothing: the executor is its owner's."""
