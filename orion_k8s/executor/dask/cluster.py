"""A Dask cluster as its executor sees it: a client, and how many calls fit in there."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from distributed import Client

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.dask.arguments import check_arguments, has_address, timeout_of
from orion_k8s.executor.dask.connecting import AWAY, check_client, open_client
from orion_k8s.executor.dask.handshake import check_versions
from orion_k8s.executor.dask.local import start_local
from orion_k8s.executor.dask.security import make_security

log = logging.getLogger(__name__)

_EVERYBODY = {
    name: -1 for name in inspect.signature(Client.scheduler_info).parameters if name == "n_workers"
}
"""Newer versions of Dask tell of a few Dask workers only, where nothing else is asked for."""


class ClientClosed(ConfigurationError):
    """The Dask client that was given is closed."""


class Cluster:
    """A Dask client, made from configuration or given by the person, who then keeps it.

    Args:
        client: the person's own; None to make one.
        n_workers: threads of the cluster on this machine that is made where no address is known.
        resources: what one call takes, such as {"GPU": 1}.
        arguments: of `distributed.Client`, and of `distributed.LocalCluster` without an address.

    Raises:
        ConfigurationError: an argument that does not exist, or a scheduler that cannot be reached
            or is of another version.
        ExecutorUnavailable: the scheduler does not answer.
    """

    def __init__(
        self,
        client: Any,
        n_workers: int | None,
        resources: Mapping[str, float],
        arguments: Mapping[str, Any],
    ) -> None:
        self.resources = dict(resources)
        self._arguments = dict(arguments)
        self._given = client is not None
        self._local: Any = None
        self._workers: dict[str, int] = {}
        self._fits = 0
        self._told_empty = False
        self._timeout_s = timeout_of(arguments)
        if self._given:
            check_client(client, arguments)
        else:
            check_arguments(arguments)
            self._arguments["security"] = make_security(arguments.get("security"))
            if not has_address(arguments):
                self._local = start_local(n_workers, self.resources, self._arguments)
                self._arguments["address"] = self._local
        self.client = client
        try:
            if not self._given:
                self.client = open_client(self._arguments)
            self.address = str(self.client.scheduler.address)
            self.count()
        except BaseException:
            self.close()
            raise

    @property
    def local(self) -> bool:
        """Whether it was made here, for this machine alone."""
        return self._local is not None

    def connected(self) -> bool:
        """Whether the scheduler is there, as far as is known. Costs nothing."""
        return bool(self.client.status == "running")

    def gave_up(self, away_s: float) -> bool:
        """Whether the client will not reach the scheduler any more.

        Args:
            away_s: seconds since the scheduler went away.
        """
        if self.client.status == "closed":
            return True
        # Whoever accepts its connection and says nothing stops it for ever.
        stuck = self.client.status == "connecting" and away_s > 2 * self._timeout_s + 1.0
        return stuck and not self._given

    def check(self) -> None:
        """Accept the scheduler as it is now.

        Raises:
            ConfigurationError: it is of another version.
            OSError, TimeoutError, CancelledError: it is away.
        """
        ask = self.client.sync
        versions = ask(self.client.scheduler.versions, callback_timeout=self._timeout_s)
        check_versions(self.address, versions)

    def count(self) -> int:
        """Return how many calls fit in the cluster now. A round trip, or two.

        Raises:
            OSError, TimeoutError, CancelledError: the scheduler is away.
        """
        ask, patience = self.client.sync, {"callback_timeout": self._timeout_s}
        workers = dict(ask(self.client.scheduler.ncores, workers=None, **patience))
        if not self.resources:
            self._fits = sum(workers.values())
        elif workers != self._workers:
            found = ask(self.client.scheduler.identity, **_EVERYBODY, **patience)["workers"]
            self._fits = sum(
                min(threads, *(_times(found.get(name, {}), r, n) for r, n in self._wanted()))
                for name, threads in workers.items()
            )
        self._workers = workers
        self._watch_workers()
        return self._fits

    def reopen(self) -> None:
        """Replace a client that gave up.

        Raises:
            ConfigurationError: the scheduler is still away; or the client was given, and closed.
        """
        if self._given:
            raise ClientClosed(
                "The Dask client that was given is closed: give an open one, or an address "
                "instead, so that the executor can connect anew."
            )
        self._close_client()
        self.client = open_client(self._arguments)

    def close(self) -> None:
        """Close what was made here."""
        if self._given:
            return
        if self.client is not None:
            self._close_client()
        if self._local is not None:
            self._local.close()

    def _close_client(self) -> None:
        with suppress(*AWAY):  # it says goodbye, which a scheduler that hangs does not answer
            self.client.close(timeout=self._timeout_s)
        # `close` leaves the thread of a client that gave up by itself. Twice is content.
        self.client._loop_runner.stop()

    def _watch_workers(self) -> None:
        """Say that no call fits in the cluster, once: else nobody would know why nothing runs."""
        if self._fits > 0 or self._told_empty:
            self._told_empty = self._fits == 0
            return
        self._told_empty = True
        if self._workers:
            option = " ".join(f"{name}={amount:g}" for name, amount in self._wanted())
            log.warning(
                "no Dask worker of %s has the resources that a trial needs: its trials wait for "
                "one that is started with --resources '%s'",
                self.address,
                option,
            )
        else:
            log.warning("%s has no Dask worker: its trials wait for one", self.address)

    def _wanted(self) -> Iterator[tuple[str, float]]:
        return ((name, amount) for name, amount in self.resources.items() if amount > 0)


def _times(worker: Mapping[str, Any], resource: str, amount: float) -> int:
    return int(worker.get("resources", {}).get(resource, 0) // amount)
