"""Connect to a Dask scheduler by what a configuration says; each failure is one clear sentence."""

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

import dask
import distributed
from dask.utils import parse_timedelta
from distributed import Client, LocalCluster, Nanny, Worker
from distributed.versions import VersionMismatchWarning

from orion_k8s.errors import ConfigurationError

AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
)
"""What a call to a scheduler raises that is away. CommClosedError is an OSError."""

OURS = ("loop", "asynchronous", "set_as_default", "extensions", "self", "args", "kwargs")
"""Arguments of Dask that make no sense in a configuration."""


def has_address(arguments: Mapping[str, Any]) -> bool:
    """Whether the arguments, or Dask's own configuration, say where the scheduler is."""
    known = arguments.get("address") or arguments.get("scheduler_file")
    return bool(known or dask.config.get("scheduler-address", None))


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Accept arguments that Dask knows.

    Raises:
        ConfigurationError: it does not.
    """
    kinds = [Client] if has_address(arguments) else [Client, LocalCluster, Nanny, Worker]
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


def open_client(arguments: Mapping[str, Any]) -> Client:
    """Return a client that is connected.

    Raises:
        ConfigurationError: the scheduler cannot be reached, it or we are not trusted, or an
            argument has a wrong value.
    """
    what = arguments.get("address") or arguments.get("scheduler_file") or "of the configuration"
    try:
        _await_file(arguments)
        with warnings.catch_warnings():
            # `check_versions` says it in one sentence.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            return Client(**arguments, set_as_default=False)
    except (OSError, asyncio.TimeoutError, ImportError) as error:
        raise ConfigurationError(_unreachable(what, error)) from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f"Dask refuses its executor_configuration: {_line(error)}."
        ) from error


def check_versions(client: Client) -> None:
    """Accept a scheduler that speaks our protocol and our Python's pickles.

    Raises:
        ConfigurationError: it runs another version.
    """
    theirs = client.sync(client.scheduler.versions)["packages"]
    python = ".".join(str(theirs.get("python", "?")).split(".")[:2])
    ours = ".".join(map(str, sys.version_info[:2]))
    release = str(theirs.get("distributed"))
    if python == ours and _month(release) == _month(distributed.__version__):
        return
    raise ConfigurationError(
        f"The Dask scheduler {client.scheduler.address} runs distributed {release} on Python "
        f"{python}, this worker distributed {distributed.__version__} on Python {ours}: install "
        "the same on both sides."
    )


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


def _month(version: str) -> list[str]:
    """Return year and month of a version: releases of one month speak the same protocol."""
    return version.split(".")[:2]


def _await_file(arguments: Mapping[str, Any]) -> None:
    """Wait for the scheduler's file: Dask's own client would do so for ever."""
    path = arguments.get("scheduler_file")
    if not path:
        return
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
