"""The way to a Dask cluster: a client made from configuration, and how many calls fit in there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import os
import ssl
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from orion_k8s.errors import ConfigurationError, MissingExtra

try:
    import distributed
    from dask.utils import parse_timedelta
    from distributed import Client, LocalCluster, Nanny, Worker
    from distributed.versions import VersionMismatchWarning
except ImportError as error:
    raise MissingExtra(
        "The executor dask needs the package distributed, which cannot be imported "
        f"({error}): pip install 'orion-k8s[dask]'."
    ) from error

AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
)
"""What a call to a scheduler raises that is away. CommClosedError is an OSError."""


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
        arguments: dict[str, Any],
    ) -> None:
        self.resources = dict(resources)
        self._given = client is not None
        self._local: Any = None
        self._workers: dict[str, int] = {}
        self._fits = 0
        if self._given:
            _check_client(client, arguments)
            self.client = client
        else:
            self._arguments = _checked(arguments)
            if not _has_address(arguments):
                self._local = _local_cluster(n_workers, self.resources, self._arguments)
            self.client = self._open()
        try:
            self.address = str(self.client.scheduler.address)
            self._check_versions()
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
        self.client = self._open()
        self._check_versions()

    def close(self) -> None:
        """Close what was made here."""
        if self._given:
            return
        self.client.close()
        if self._local is not None:
            self._local.close()

    # --- inside ----------------------------------------------------------------------------------

    def _wanted(self) -> Iterator[tuple[str, float]]:
        return ((name, amount) for name, amount in self.resources.items() if amount > 0)

    def _open(self) -> Client:
        arguments = dict(self._arguments)
        if self._local is not None:
            arguments["address"] = self._local
        what = (
            arguments.get("address") or arguments.get("scheduler_file") or "of the configuration"
        )
        try:
            _await_file(arguments)
            with warnings.catch_warnings():
                # `_check_versions` says it in one sentence.
                warnings.simplefilter("ignore", VersionMismatchWarning)
                return Client(**arguments, set_as_default=False)
        except (OSError, asyncio.TimeoutError, ImportError) as error:
            if self._local is not None:
                self._local.close()
            raise ConfigurationError(_unreachable(what, error)) from error
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"Dask refuses its executor_configuration: {_line(error)}."
            ) from error

    def _check_versions(self) -> None:
        theirs = self.client.sync(self.client.scheduler.versions)["packages"]
        python = ".".join(str(theirs.get("python", "?")).split(".")[:2])
        ours = ".".join(map(str, sys.version_info[:2]))
        dask = str(theirs.get("distributed"))
        if python == ours and _release(dask) == _release(distributed.__version__):
            return
        raise ConfigurationError(
            f"The Dask scheduler {self.address} runs distributed {dask} on Python {python}, this "
            f"worker distributed {distributed.__version__} on Python {ours}: install the same on "
            "both sides."
        )


class ClientClosed(ConfigurationError):
    """The Dask client that was given is closed."""


def _release(version: str) -> list[str]:
    """Return year and month of a version: releases of one month speak the same protocol."""
    return version.split(".")[:2]


def _times(worker: Mapping[str, Any], resource: str, amount: float) -> int:
    return int(worker.get("resources", {}).get(resource, 0) // amount)


def _has_address(arguments: Mapping[str, Any]) -> bool:
    import dask

    known = arguments.get("address") or arguments.get("scheduler_file")
    return bool(known or dask.config.get("scheduler-address", None))


def _check_client(client: Any, arguments: dict[str, Any]) -> None:
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


OURS = ("loop", "asynchronous", "set_as_default", "extensions", "self", "args", "kwargs")
"""Arguments of Dask that make no sense in a configuration."""


def _checked(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments, all of which Dask knows.

    Raises:
        ConfigurationError: it does not.
    """
    kinds = [Client] if _has_address(arguments) else [Client, LocalCluster, Nanny, Worker]
    known = {name for kind in kinds for name in inspect.signature(kind).parameters}
    allowed = sorted(known.difference(OURS, ("worker_kwargs", "worker_class")))
    for name in arguments:
        if name not in allowed:
            close = get_close_matches(name, allowed, n=1)
            hint = f": did you mean {close[0]!r}?" if close else "."
            raise ConfigurationError(
                f"dask.distributed.Client takes no argument {name!r}{hint} See "
                "https://distributed.dask.org/en/stable/api.html#client for those it takes."
            )
    return dict(arguments)


def _local_cluster(
    n_workers: int | None, resources: Mapping[str, float], arguments: dict[str, Any]
) -> LocalCluster:
    """Start a cluster on this machine; take its arguments out of those for the client."""
    client = set(inspect.signature(Client).parameters) - {"name"}
    given = {name: arguments.pop(name) for name in list(arguments) if name not in client}
    if "security" in arguments:
        given["security"] = arguments["security"]
    # A fixed port is taken by the next worker of this machine.
    given.setdefault("dashboard_address", ":0")
    if given.get("processes", True):
        threads = given.setdefault("threads_per_worker", 1)
        if n_workers is not None:
            given["n_workers"] = -(-n_workers // int(threads))
    elif n_workers is not None:
        given |= {"n_workers": 1, "threads_per_worker": n_workers}
    if resources:
        given["resources"] = dict(resources)
    try:
        return LocalCluster(**given)
    except (TypeError, ValueError, RuntimeError, OSError, ImportError) as error:
        raise ConfigurationError(
            f"Dask could not start a cluster on this machine: {_line(error)}."
        ) from error


def _await_file(arguments: Mapping[str, Any]) -> None:
    """Wait for the scheduler's file: Dask's own client would do so for ever."""
    path = arguments.get("scheduler_file")
    if not path:
        return
    import dask

    timeout = arguments.get("timeout") or dask.config.get("distributed.comm.timeouts.connect")
    deadline = time.monotonic() + float(parse_timedelta(timeout, "s"))
    while not os.path.exists(path):
        if time.monotonic() >= deadline:
            raise FileNotFoundError("the file does not exist")
        time.sleep(0.05)


def _unreachable(what: Any, error: BaseException) -> str:
    """Return a sentence on why a connection to a scheduler failed."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            why = getattr(cause, "verify_message", "") or cause.reason or str(cause)
            return (
                f"The Dask scheduler {what} and this worker do not trust each other's TLS "
                f"certificates ({why}): check the certificates and `security` in "
                "executor_configuration."
            )
    said = next((_line(cause) for cause in _causes(error) if str(cause)), type(error).__name__)
    return (
        f"The Dask scheduler {what} cannot be reached ({said}): start it, or correct the address "
        "(tcp://… or tls://…) and `security` in executor_configuration."
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(real := getattr(error, "real_error", None), BaseException):
            yield real
        error = error.__cause__ or error.__context__


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__
