"""Follow a cluster's size, and reach its scheduler again where it goes away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from orion_k8s.backoff import Backoff
from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.dask.cluster import ClientClosed, Cluster

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often the scheduler is asked how many threads there are."""

AWAY_LOOK_S = 0.5
"""How often a look is taken whether Dask's client has reached the scheduler again. No traffic."""

BACKOFF_S = (1.0, 60.0)
"""The first and the longest wait before another try to reach a scheduler."""


class Watch:
    """Knows how many calls fit in a cluster. A thread of its own asks.

    While the scheduler is away there is no room, until it has been said that it is back: so the
    log tells the outage before it tells what happened afterwards.

    Args:
        cluster: that is watched; its client is replaced here when it gave up.
        looked: called after each look that found the scheduler; whether the room has changed.
        lost: called when the scheduler was found to be away.
        reopened: called when the cluster has a new client.
        failed: called with the reason why there never will be a connection again.
    """

    def __init__(
        self,
        cluster: Cluster,
        looked: Callable[[bool], None],
        lost: Callable[[], None],
        reopened: Callable[[], None],
        failed: Callable[[ConfigurationError], None],
    ) -> None:
        self._cluster = cluster
        self._looked = looked
        self._lost = lost
        self._reopened = reopened
        self._failed = failed
        self._room = cluster.count()
        self._away_since: float | None = None
        self._refused = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orion-dask", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._closing.set()
        self._thread.join()

    def room(self) -> int | None:
        """Return how many calls fit in the cluster; None while its scheduler is away."""
        if self._away_since is not None or not self._cluster.connected():
            return None
        return self._room

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S if self._away_since is None else AWAY_LOOK_S):
            room = self._count()
            if room is None:
                self._is_away()
                self._reach()
                continue
            changed = self._away_since is not None or room != self._room
            self._room = room
            self._is_back()
            self._looked(changed)

    def _count(self) -> int | None:
        try:
            if not self._cluster.connected():
                return None
            if self._away_since is not None:  # another scheduler may have taken its place
                self._cluster.check()
            return self._cluster.count()
        except ConfigurationError as error:
            if str(error) != self._refused:
                log.warning("%s Until then its trials wait.", error)
            self._refused = str(error)
            return None
        except Exception as error:  # its client may close meanwhile
            log.debug("the Dask scheduler does not answer: %s", error)
            return None

    def _is_away(self) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning(
                "the Dask scheduler %s is away: its trials run again when it is back",
                self._cluster.address,
            )
            self._lost()

    def _is_back(self) -> None:
        if self._away_since is not None:
            seconds = time.monotonic() - self._away_since
            log.warning("the Dask scheduler is back after %.0f s", seconds)
            self._away_since, self._refused = None, ""

    def _reach(self) -> None:
        """Wait until Dask's client has reached the scheduler, or replace one that gave up."""
        backoff = Backoff(*BACKOFF_S)
        assert self._away_since is not None
        while self._cluster.gave_up(time.monotonic() - self._away_since):
            wait_s = backoff.next()
            try:
                self._cluster.reopen()
                self._reopened()
                return
            except ClientClosed as error:
                self._failed(error)
                self._closing.wait()
                return
            except ConfigurationError as error:
                log.warning("%s The next try comes in %.0f s.", error, wait_s)
            except Exception as error:  # Dask's own, whatever it is: this thread must not end
                log.warning(
                    "Dask's client fails (%r); the next try comes in %.0f s", error, wait_s
                )
            if self._closing.wait(wait_s):
                return
