"""Riding through outages: a verb of the storage is repeated until the database is back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from orion_k8s.backoff import Backoff
from orion_k8s.errors import DatabaseFull, DatabaseUnavailable

log = logging.getLogger(__name__)
T = TypeVar("T")

PASSING = (DatabaseUnavailable, DatabaseFull)
"""What may pass: the network, a restart, a disk that somebody makes room on."""


class Caller(Protocol):
    """Calls a verb of the storage and returns its reply."""

    def __call__(self, verb: Callable[[], T]) -> T:
        """Return the verb's reply."""
        ...


def call_once(verb: Callable[[], T]) -> T:
    """Call a verb with no patience at all."""
    return verb()


class Stopped(Exception):
    """The worker was told to end while the database was away."""


class Patience:
    """Calls verbs until they go through. Verbs may be repeated: the storage's contract says so.

    Args:
        last_s: how long results in hand are kept for a database that is away when the worker must
            end.

    Attributes:
        stop: set when the worker must end; then an outage is borne for `last_s` seconds more and
            no longer.
        on_outage: called each time that the database is found to be away.
    """

    def __init__(self, last_s: float = 10.0) -> None:
        self.stop = threading.Event()
        self.on_outage: Callable[[], None] | None = None
        self._last_s = last_s

    def call(self, verb: Callable[[], T]) -> T:
        """Return what the verb returns, as soon as the database lets it.

        Raises:
            Stopped: the worker must end and the database is still away.
        """
        backoff: Backoff | None = None
        away_since: float | None = None
        ending_since: float | None = None
        while True:
            try:
                result = verb()
            except PASSING as error:
                now = time.monotonic()
                if self.on_outage is not None:
                    self.on_outage()
                if backoff is None or away_since is None:
                    backoff, away_since = Backoff(0.2, 5.0), now
                    log.warning("the database is away, trying again: %s", error)
                if self.stop.is_set():
                    ending_since = ending_since or now
                    if now - ending_since > self._last_s:
                        raise Stopped(str(error)) from error
                    time.sleep(min(0.2, backoff.next()))
                else:
                    self.stop.wait(backoff.next())
            else:
                if away_since is not None:
                    away = time.monotonic() - away_since
                    log.warning("the database is back after %.1f s", away)
                return result
