"""TLS: what a configuration says of certificates, as Dask wants it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distributed import Security

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.nearest import nearest

FIELDS = sorted([*Security.__slots__, "server_hostname"])
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
HOW = "give it as `security: {tls_ca_file: …, tls_client_cert: …, tls_client_key: …}`"


class NamedSecurity(Security):  # type: ignore[misc]
    """Certificates, and the name that the scheduler's must have.

    Dask trusts whoever has a certificate of the CA, for whatever name: a cluster is expected to
    have a CA of its own.
    """

    def __init__(self, server_hostname: str, **fields: Any) -> None:
        super().__init__(**fields)
        self.server_hostname = server_hostname

    def get_connection_args(self, role: str) -> dict[str, Any]:
        """Return how to connect. See `distributed.Security`."""
        arguments: dict[str, Any] = super().get_connection_args(role)
        context = arguments["ssl_context"]
        if role == "client" and context is not None:
            context.check_hostname = True
            arguments["server_hostname"] = self.server_hostname
        return arguments


def make_security(told: Any) -> Any:
    """Return what `distributed.Client` takes as its `security`.

    Args:
        told: a mapping of the fields of `distributed.Security`, with paths of files or the texts
            of certificates, and of `server_hostname`, the name that the scheduler's certificate
            must have; or what Dask itself takes: a `Security`, a bool or None.

    Raises:
        ConfigurationError: a field that does not exist, a file that cannot be read, a certificate
            and a key that do not belong together.
    """
    if told is None or isinstance(told, bool | Security):
        return told
    if not isinstance(told, Mapping):
        raise ConfigurationError(f"security must be a mapping, not {told!r}: {HOW}.")
    fields = {str(name): value for name, value in told.items()}
    for name, value in fields.items():
        if name not in FIELDS:
            raise ConfigurationError(
                f"security has no field {name!r}{nearest(name, FIELDS)} It has: "
                f"{', '.join(FIELDS)}."
            )
        if name.endswith(("_file", "_cert", "_key")):
            fields[name] = _text_or_path(name, value)
        elif name.endswith("_version") and value is not None:
            fields[name] = _version(name, value)
        elif name == "require_encryption" and not isinstance(value, bool | None):
            raise ConfigurationError(f"require_encryption must be true or false, not {value!r}.")
        elif name == "server_hostname" and not (isinstance(value, str) and value):
            raise ConfigurationError(
                f"server_hostname must be a name or an address, not {value!r}."
            )
    security = (NamedSecurity if "server_hostname" in fields else Security)(**fields)
    for role in ("client", "scheduler", "worker"):
        _check(security, role)
    if fields.get("require_encryption") and not security.get_connection_args("client").get(
        "ssl_context"
    ):
        raise ConfigurationError(
            f"require_encryption needs tls_ca_file and tls_client_cert, too: {HOW}."
        )
    return security


def _text_or_path(name: str, value: Any) -> Any:
    """Return the text of a certificate as it is, and a path in full where its file is there."""
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike):
        raise ConfigurationError(f"{name} must be the path of a file, not {value!r}.")
    if "\n" in str(value):
        return str(value)
    path = Path(value).expanduser()
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(
            f"{name} names {path}, which cannot be read ({error.strerror})."
        ) from error
    return str(path)


def _version(name: str, value: Any) -> ssl.TLSVersion:
    if isinstance(value, ssl.TLSVersion) and value in VERSIONS.values():
        return value
    if str(value) not in VERSIONS:
        raise ConfigurationError(f"{name} must be 1.2 or 1.3, not {value!r}.")
    return VERSIONS[str(value)]


def _check(security: Security, role: str) -> None:
    """Load the certificates of a role, as each connection does."""
    try:
        security.get_connection_args(role)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = getattr(error, "reason", None) or " ".join(str(error).split())
        if why == "KEY_VALUES_MISMATCH":
            why = "the key does not belong to the certificate"
        raise ConfigurationError(
            f"The certificates of `security` cannot be used for the {role} ({why}): they must be "
            "files in PEM format, the certificate with its own key."
        ) from error
