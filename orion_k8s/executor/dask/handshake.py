"""Ask a scheduler who it is, before a client is made: whatever is wrong becomes one sentence.

Dask's own client waits for ever for a scheduler's file that is damaged, and for somebody who
accepts a connection and says nothing.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import distributed
from distributed.comm import CommClosedError, connect, get_address_host_port, parse_address
from distributed.core import send_recv
from distributed.utils import LoopRunner

from orion_k8s.errors import ConfigurationError, ExecutorUnavailable
from orion_k8s.executor.dask.security import HOW

GRACE_S = 1.0
"""How much longer than its timeout a connection may take, so that Dask's own error comes first."""

NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
"""What OpenSSL says of an answer that is not TLS."""

Versions = Mapping[str, Mapping[str, Any]]


def read_file(path: Any, timeout_s: float) -> str:
    """Return the address in a scheduler's file, which may not have been written yet.

    Raises:
        ConfigurationError: there is no address in it.
        ExecutorUnavailable: nobody wrote it in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        kind: type[ConfigurationError] = ConfigurationError
        try:
            address = json.loads(Path(path).read_text())["address"]
            if isinstance(address, str):
                return address
            why = "it holds no address"
        except FileNotFoundError:
            kind, why = ExecutorUnavailable, "it does not exist"
        except OSError as error:
            why = f"it cannot be read: {error.strerror}"
        except (ValueError, KeyError, TypeError):
            why = "it is not what a Dask scheduler writes"
        if time.monotonic() >= deadline:
            raise kind(
                f"The file {path} of the Dask scheduler cannot be used ({why}): start the "
                "scheduler with --scheduler-file, or correct scheduler_file in "
                "executor_configuration."
            )
        time.sleep(0.05)


def check_address(address: str, security: Any) -> None:
    """Accept an address that Dask can connect to.

    Args:
        address: of a scheduler.
        security: a `distributed.Security`.

    Raises:
        ConfigurationError: it is none, or TLS is asked for on one side alone.
    """
    try:
        scheme, _ = parse_address(address)
        _, port = get_address_host_port(address)
        if not 0 < port < 1 << 16:
            raise ValueError(f"there is no port {port}")
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"The address {address!r} of the Dask scheduler is not valid ({line(error)}): write "
            "it as tcp://HOST:PORT or tls://HOST:PORT."
        ) from error
    if scheme == "tls" and security.get_connection_args("client")["ssl_context"] is None:
        raise ConfigurationError(
            f"The Dask scheduler {address} uses TLS, which needs `security` in "
            f"executor_configuration: {HOW}."
        )
    if scheme == "tcp" and security.require_encryption:
        raise ConfigurationError(
            f"`security` requires encryption, and the address {address} of the Dask scheduler is "
            "without it: write tls://HOST:PORT, or leave `security` out of "
            "executor_configuration."
        )


def ask_versions(address: str, security: Any, timeout_s: float) -> Versions:
    """Return the versions of a scheduler's packages.

    Args:
        address: of the scheduler.
        security: a `distributed.Security`.
        timeout_s: seconds that the connection may take.

    Raises:
        ConfigurationError: the other side is no Dask scheduler, or it or we are not trusted.
        ExecutorUnavailable: nobody answers there.
    """

    async def ask() -> Any:
        how = security.get_connection_args("client")
        comm = await connect(address, timeout=timeout_s, **how)
        try:
            return await send_recv(comm, op="versions", reply=True)
        finally:
            comm.abort()

    async def ask_in_time() -> Any:
        return await asyncio.wait_for(ask(), timeout_s + GRACE_S)

    try:
        versions = LoopRunner().run_sync(ask_in_time)
        if isinstance(versions, Mapping) and isinstance(versions.get("packages"), Mapping):
            return versions
        raise ValueError(f"it says {versions!r:.100}")
    except asyncio.TimeoutError as error:
        raise ExecutorUnavailable(
            f"The Dask scheduler {address} accepts connections and has not answered for "
            f"{timeout_s:g} s: see whether it is one, and whether it hangs."
        ) from error
    except Exception as error:  # a peer that is no scheduler may send whatever Dask cannot read
        raise explain(address, error) from error


def explain(address: str, error: BaseException) -> ConfigurationError:
    """Return the sentence on why a connection to a scheduler failed."""
    causes = list(_causes(error))
    tls = address.startswith("tls")
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message.rstrip(".")
            return ConfigurationError(
                f"The certificate of the Dask scheduler {address} is not trusted here ({why}): "
                "give it one that is, or correct tls_ca_file in `security` of "
                "executor_configuration."
            )
        if (isinstance(cause, ssl.SSLError) and cause.reason in NOT_TLS) or _spoke_first(cause):
            return ConfigurationError(
                f"The Dask scheduler {address} does not use TLS: write tcp://…, without "
                "`security`, or start the scheduler with certificates."
            )
    if tls and any(isinstance(cause, ssl.SSLError) for cause in causes):
        return ConfigurationError(
            f"The Dask scheduler {address} does not trust the certificate of this worker: give "
            "one that has not expired and that its CA has signed, as tls_client_cert and "
            "tls_client_key in `security` of executor_configuration."
        )
    if "Timed out trying to connect" in str(error):
        told = [c.strerror for c in causes if isinstance(c, OSError) and c.strerror]
        why = told[0] if told else _silence(address)
        return ExecutorUnavailable(
            f"The Dask scheduler {address} cannot be reached ({why}): start it, or correct the "
            "address in executor_configuration."
        )
    if isinstance(error, CommClosedError):
        return ExecutorUnavailable(
            f"The Dask scheduler {address} closed the connection at once: if it uses TLS, write "
            f"tls://… and {HOW}; else see its log."
        )
    # Another protocol's first bytes are read as a length, for which there is no memory.
    why = "" if isinstance(error, MemoryError) else f" ({line(error)})"
    return ConfigurationError(
        f"What answers at {address} is no Dask scheduler that distributed "
        f"{distributed.__version__} can talk to{why}: correct the address in "
        "executor_configuration, or install the same version on both sides."
    )


def check_versions(address: str, versions: Versions) -> None:
    """Accept a scheduler that speaks our protocol and our Python's pickles.

    Raises:
        ConfigurationError: it runs another version.
    """
    theirs = versions["packages"]
    python = ".".join(str(theirs.get("python", "?")).split(".")[:2])
    ours = ".".join(map(str, sys.version_info[:2]))
    release = str(theirs.get("distributed"))
    if python == ours and _month(release) == _month(distributed.__version__):
        return
    raise ConfigurationError(
        f"The Dask scheduler {address} runs distributed {release} on Python {python}, this worker "
        f"distributed {distributed.__version__} on Python {ours}: install the same on both sides."
    )


def line(error: BaseException) -> str:
    """Return an error's message in one line, without its full stop."""
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__


def _spoke_first(error: BaseException) -> bool:
    """Whether the other side sent something before TLS began, as a scheduler without it does."""
    return isinstance(error, ValueError) and "cannot convert to SSL" in str(error)


def _silence(address: str) -> str:
    """Return why nobody answers, where the last of Dask's attempts only ran out of time."""
    try:
        socket.create_connection(get_address_host_port(address), GRACE_S).close()
    except OSError as error:
        return error.strerror or "it does not answer"
    return "it does not answer"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(real := getattr(error, "real_error", None), BaseException):
            yield real
        error = error.__cause__ or error.__context__


def _month(version: str) -> list[str]:
    """Return year and month of a version: releases of one month speak the same protocol."""
    return version.split(".")[:2]
