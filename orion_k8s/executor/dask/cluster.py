"""A Dask cluster as its executor sees it: a client, and how many calls fit in there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.dask.connecting import (
    check_arguments,
    check_client,
    check_versions,
    has_address,
    open_client,
    start_local,
)


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
        if self._given:
            check_client(client, arguments)
        else:
            check_arguments(arguments)
            if not has_address(arguments):
                self._local = start_local(n_workers, self.resources, self._arguments)
                self._arguments["address"] = self._local
        self.client = client
        try:
            if not self._given:
                self.client = open_client(self._arguments)
            self.address = str(self.client.scheduler.address)
            check_versions(self.client)
            self.count()
        except BaseException:
            self.close()
            raise

    def connected(self) -> bool:
        """Whether the scheduler is there, as far as is known. Costs nothing."""
        return bool(self.client.status == "running")

    def count(self) -> int:
        """Return how many calls fit in the cluster now. A round trip.

        Raises:
            OSError, TimeoutError, CancelledError: the scheduler is away.
        """
        workers = dict(self.client.nthreads())
        if not self.resources:
            self._fits = sum(workers.values())
        elif workers != self._workers:
            found = self.client.scheduler_info()["workers"]
            self._fits = sum(
                min(threads, *(_times(found.get(name, {}), r, n) for r, n in self._wanted()))
                for name, threads in workers.items()
            )
        self._workers = workers
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
        self.client.close()
        self.client = open_client(self._arguments)
        check_versions(self.client)

    def close(self) -> None:
        """Close what was made here."""
        if self._given:
            return
        if self.client is not None:
            self.client.close()
        if self._local is not None:
            self._local.close()

    def _wanted(self) -> Iterator[tuple[str, float]]:
        return ((name, amount) for name, amount in self.resources.items() if amount > 0)


def _times(worker: Mapping[str, Any], resource: str, amount: float) -> int:
    return int(worker.get("resources", {}).get(resource, 0) // amount)
