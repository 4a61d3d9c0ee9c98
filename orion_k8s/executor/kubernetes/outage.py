"""What is said of waiting: once when it begins, again after a while, and once when it is over."""

from __future__ import annotations

import logging
import threading
import time

log = logging.getLogger("orion_k8s.executor.kubernetes")

AGAIN_S = 300.0
"""What goes on is said again after so long."""

BACKOFF_S = (0.5, 30.0)
"""The first and the longest wait while the API server is away."""


class Outage:
    """Whether the API server is away, as far as anybody here has noticed.

    Args:
        host: the server's address.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._since: float | None = None

    @property
    def now(self) -> bool:
        """Whether it is away."""
        return self._since is not None

    def begins(self, error: Exception) -> None:
        """Note that it does not answer."""
        with self._lock:
            if self._since is not None:
                return
            self._since = time.monotonic()
        log.warning(
            "the Kubernetes API server %s is away (%s): the Jobs go on, and are judged when it is "
            "back",
            self._host,
            error,
        )

    def ends(self) -> None:
        """Note that it answers."""
        with self._lock:
            if self._since is None:
                return
            away, self._since = time.monotonic() - self._since, None
        log.warning("the Kubernetes API server is back after %.0f s", away)


class Notices:
    """What Jobs wait for, said once for all that wait for the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}

    def say(self, text: str) -> None:
        """Say that a trial waits, unless the same was said a short while ago."""
        now = time.monotonic()
        with self._lock:
            said = self._said.get(text)
            if said is not None and now - said < AGAIN_S:
                return
            self._said[text] = now
        log.warning("a trial waits: %s", text)
