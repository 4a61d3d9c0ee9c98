"""A Dask cluster on this machine, where no address is known."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from distributed import Client, LocalCluster

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.dask.handshake import line
from orion_k8s.executor.processes import positive


def start_local(
    n_workers: int | None, resources: Mapping[str, float], arguments: dict[str, Any]
) -> LocalCluster:
    """Start a cluster on this machine.

    Args:
        n_workers: its threads, each in a process of its own where nothing else is said.
        resources: of each of its Dask workers.
        arguments: those of the cluster are taken out; those of a client stay.

    Raises:
        ConfigurationError: it cannot be started so.
    """
    client = set(inspect.signature(Client).parameters) - {"name"}
    given = {name: arguments.pop(name) for name in list(arguments) if name not in client}
    if "security" in arguments:
        given["security"] = arguments["security"]
    # A fixed port is taken by the next worker of this machine.
    given.setdefault("dashboard_address", ":0")
    if given.get("processes", True):
        threads = positive("threads_per_worker", given.get("threads_per_worker")) or 1
        given["threads_per_worker"] = threads
        if n_workers is not None:
            given["n_workers"] = -(-n_workers // threads)
    elif n_workers is not None:
        given |= {"n_workers": 1, "threads_per_worker": n_workers}
    if resources:
        given["resources"] = dict(resources)
    try:
        return LocalCluster(**given)
    except (TypeError, ValueError, RuntimeError, OSError, ImportError) as error:
        raise ConfigurationError(
            f"Dask could not start a cluster on this machine: {line(error)}."
        ) from error
