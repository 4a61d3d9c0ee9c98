"""Wait for a condition without polling, and be woken from a signal handler."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue


class Bell:
    """Lets threads wait until something happened, or until somebody rings.

    No lock is held anywhere: `SimpleQueue.put` is reentrant and `list.append`, `list.remove` and
    `tuple(list)` are atomic, so that `ring` may be called by a signal handler that interrupted
    this very code.
    """

    def __init__(self) -> None:
        self._inboxes: list[SimpleQueue[None]] = []
        self._rung = False

    def tell(self) -> None:
        """Let every waiting thread look again at its condition."""
        for inbox in tuple(self._inboxes):
            inbox.put(None)

    def ring(self) -> None:
        """End every wait that listens to the bell; or the next one, if none is under way."""
        self._rung = True
        self.tell()

    def heard(self) -> bool:
        """Return whether the bell was rung and nobody has answered yet."""
        return self._rung

    def answer(self) -> None:
        """Forget that the bell was rung: whoever waited goes on now."""
        self._rung = False

    def wait(
        self, ready: Callable[[], bool], timeout: float | None = None, listen: bool = False
    ) -> None:
        """Return when `ready()`, after `timeout` seconds, or when the bell rings.

        Args:
            ready: looked at again after every `tell`.
            timeout: in seconds; None for no end.
            listen: whether `ring` ends the wait.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        inbox: SimpleQueue[None] = SimpleQueue()
        # First the inbox, then the look: what happens in between is in the inbox.
        self._inboxes.append(inbox)
        try:
            while not (listen and self._rung) and not ready():
                left = None
                if deadline is not None:
                    left = min(deadline - time.monotonic(), threading.TIMEOUT_MAX)
                    if left <= 0:
                        return
                try:
                    inbox.get(timeout=left)
                except Empty:
                    continue
        finally:
            self._inboxes.remove(inbox)
