"""A DaskCluster of Kubernetes as the Dask executor sees it."""

from __future__ import annotations

import logging
import time
from typing import Any

from orion_k8s.errors import AccessRefused, ConfigurationError
from orion_k8s.executor.dask.cluster import Cluster
from orion_k8s.executor.dask_kubernetes.place import Place

log = logging.getLogger(__name__)

LONELY_S = 60.0
"""After so long without a Dask worker it is said why, and then again after ten times as long."""


class KubernetesCluster(Cluster):
    """A client of a DaskCluster.

    Args:
        place: the DaskCluster; it is closed here.
        pods: Dask workers that come by themselves after its start.
        may_be_empty: whether it is right to have no Dask worker for a while.

    Raises:
        ConfigurationError: it can't be made or reached, or is of another version.
    """

    def __init__(self, place: Place, pods: int = 0, may_be_empty: bool = False) -> None:
        self._place = place
        self._pods, self._came = pods, False
        self._may_be_empty = may_be_empty
        self._opened = self._touched = self._seen = time.monotonic()
        self._patience_s = LONELY_S
        try:
            address = place.address()
            self._opened = time.monotonic()
            super().__init__(None, None, {}, {"address": address})
        except BaseException:
            place.close()
            raise

    @property
    def threads_per_worker(self) -> float:
        """How many calls run at once in a Dask worker; 1 where there is none to ask."""
        workers = self._workers
        return sum(workers.values()) / len(workers) if workers else 1.0

    @property
    def coming(self) -> int:
        """How many Dask workers there will be in a moment; 0 when they came, or did not."""
        late = time.monotonic() - self._opened > LONELY_S
        return 0 if self._came or late else self._pods

    def count(self) -> int:
        """Return how many calls fit in the cluster now. See `Cluster.count`."""
        room = super().count()
        self._came = self._came or len(self._workers) >= self._pods
        self._keep()
        return room

    def reopen(self) -> None:
        """Replace a client that gave up; the DaskCluster may have moved, or be made anew.

        Raises:
            ConfigurationError: the scheduler is still away.
        """
        try:
            self.address = self._arguments["address"] = self._place.address()
        except AccessRefused as error:  # a right that was taken away may be given back
            raise ConfigurationError(str(error)) from error
        self._opened = self._seen = time.monotonic()
        self._came = False
        super().reopen()

    def give_up(self) -> None:
        """Let a `reopen` that waits end soon."""
        self._place.give_up()

    def close(self) -> None:
        """Close the client; delete the DaskCluster if it was made here."""
        super().close()
        self._place.close()

    def _keep(self) -> None:
        """Tell the scheduler that somebody is there, or the operator deletes an idle cluster.

        A worker that waits for the trials of others has nothing to run for a while.
        """
        idle_s, now = self._place.idle_s, time.monotonic()
        if not idle_s or now - self._touched < idle_s / 4:
            return
        self._touched = now

        def touch(dask_scheduler: Any = None) -> None:  # local: it travels by value
            dask_scheduler.idle_since = None

        try:
            self.client.run_on_scheduler(touch)
        except Exception as error:  # it may have gone meanwhile, or run no functions of others
            log.debug("the scheduler could not be told that it is in use: %s", error)

    def _watch_workers(self) -> None:
        """Say why there is no Dask worker, when that lasts. Instead of `Cluster`'s own word."""
        now = time.monotonic()
        if self._workers:
            self._seen, self._patience_s = now, LONELY_S
        elif now - self._seen >= self._patience_s:
            why = self._place.why_no_worker()
            if why is None and self._may_be_empty:
                self._patience_s += LONELY_S
                return
            self._patience_s *= 10
            log.warning(
                "the DaskCluster %s has had no worker for %.0f s%s",
                self._place.name,
                now - self._seen,
                f": {why}" if why else "",
            )
