"""Connect to a Dask scheduler by what a configuration says; each failure is one clear sentence."""

from __future__ import annotations

import asyncio
import concurrent.futures
import warnings
from collections.abc import Mapping
from typing import Any

import dask
from distributed import Client, Security
from distributed.versions import VersionMismatchWarning

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.dask.arguments import timeout_of
from orion_k8s.executor.dask.handshake import (
    ask_versions,
    check_address,
    check_versions,
    explain,
    line,
    read_file,
)
from orion_k8s.executor.dask.security import make_security

AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
)
"""What a call to a scheduler raises that is away. CommClosedError is an OSError."""


def check_client(client: Any, arguments: Mapping[str, Any]) -> None:
    """Accept a client that a person made.

    Raises:
        ConfigurationError: it is none, it is not open, or there are arguments for another one.
    """
    if not isinstance(client, Client) or client.asynchronous:
        raise ConfigurationError(
            f"client must be a distributed.Client that is not asynchronous, not {client!r}."
        )
    if client.status != "running":
        raise ConfigurationError("The Dask client that was given is not connected: open it first.")
    if arguments:
        raise ConfigurationError(
            f"The Dask client that was given has its arguments: leave out {', '.join(arguments)}."
        )
    timeout_s = timeout_of({})
    try:
        versions = client.sync(client.scheduler.versions, callback_timeout=timeout_s)
    except AWAY as error:
        raise explain(client.scheduler.address, error) from error
    check_versions(client.scheduler.address, versions)


def open_client(arguments: Mapping[str, Any]) -> Client:
    """Return a client that is connected.

    Raises:
        ConfigurationError: the scheduler cannot be reached, it or we are not trusted, it is of
            another version, or an argument has a wrong value.
    """
    given = {**arguments, "security": make_security(arguments.get("security"))}
    address = _known_address(given)
    if address is not None:
        # From here on it is an address, which no file can change any more.
        given["address"] = address
        given.pop("scheduler_file", None)
    what = address or "of the configuration"
    try:
        with warnings.catch_warnings():
            # `check_versions` says it in one sentence.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            return Client(**given, set_as_default=False)
    except (OSError, asyncio.TimeoutError, ImportError) as error:
        raise explain(what, error) from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f"Dask refuses its executor_configuration: {line(error)}."
        ) from error


def _known_address(given: Mapping[str, Any]) -> str | None:
    """Return the address of a scheduler that answers, and is one that we can work with.

    None where Dask knows more than we do: a cluster that it made here, a loader of certificates.
    """
    timeout_s = timeout_of(given)
    address = given.get("address")
    if not address and given.get("scheduler_file"):
        address = read_file(given["scheduler_file"], timeout_s)
    address = address or dask.config.get("scheduler-address", None)
    security = given["security"]
    loader = dask.config.get("distributed.client.security-loader", None)
    if not isinstance(address, str) or address.startswith("inproc") or (loader and not security):
        return address if isinstance(address, str) else None
    if security is True:
        raise ConfigurationError(
            "`security: true` makes certificates that only a cluster made here knows: name those "
            f"of the Dask scheduler {address} (tls_ca_file, tls_client_cert, tls_client_key)."
        )
    security = security or Security()
    check_address(address, security)
    check_versions(address, ask_versions(address, security, timeout_s))
    return address
