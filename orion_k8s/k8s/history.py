"""The history of a release, reached from outside of the cluster.

Where it is, and with which Secrets, stands in the workers' own pods; nothing is configured here. A
database of the release itself is reached through the API server, another one by its own address.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import yaml

from orion_k8s.errors import DatabaseUnavailable, NotFound, UsageError
from orion_k8s.executor.kubernetes.api import Object
from orion_k8s.k8s.cluster import Namespace
from orion_k8s.k8s.release import Release

if TYPE_CHECKING:
    from orion_k8s.executor.dask_kubernetes.forward import Forward
    from orion_k8s.storage import Storage

PORT = 27017
PASSWORD = "password"
CA = "ca.crt"


@dataclass(frozen=True)
class Address:
    """How a history is reached from this machine.

    Attributes:
        url: without user and password.
        username: of the database; may be empty.
        password: of that user; may be empty.
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """Return what `orion_k8s.storage.url.open_storage` looks up."""
        return {"ORION_DB_USERNAME": self.username, "ORION_DB_PASSWORD": self.password}

    def open(self) -> Storage:
        """Return the history, not connected yet."""
        from orion_k8s.storage.url import open_storage

        return open_storage(self.url, environ=self.environment)


def experiment_of(namespace: Namespace, release: Release) -> tuple[str, int | None]:
    """Return name and version of a release's experiment, as its workers are told.

    Raises:
        NotFound: the release has no workers, or its ConfigMap is gone.
    """
    name = _volume(_pod(release), "experiment", "configMap").get("name", "")
    found = namespace.get("configmaps", str(name))
    said = yaml.safe_load((found.get("data") or {}).get("experiment.yaml", "")) or {}
    experiment = said.get("experiment") or {}
    return str(experiment.get("name", "")), experiment.get("version")


@contextmanager
def reached(namespace: Namespace, release: Release) -> Iterator[Address]:
    """Give the way to a release's history; what it needs is closed and removed at the end.

    Raises:
        NotFound: a Secret or one of its keys is missing.
        AccessRefused: this account may not read it, or may not forward a port.
        DatabaseUnavailable: MongoDB has no pod that is ready.
    """
    pod = _pod(release)
    container = next(c for c in pod["containers"] if c["name"] == "worker")
    told = {entry["name"]: entry for entry in container.get("env") or []}
    url = _value(namespace, told.get("ORION_DB_ADDRESS", {}))
    username = _value(namespace, told.get("ORION_DB_USERNAME", {}))
    password = _file(namespace, pod, "database", PASSWORD)
    url, username, password = _without_login(url, username, password)
    authority = _file(namespace, pod, "database-ca", CA)
    with tempfile.TemporaryDirectory(prefix="orion-k8s-") as folder:
        ca_file = None
        if authority:
            ca_file = os.path.join(folder, CA)
            Path(ca_file).write_text(authority, encoding="utf-8")
        if release.mongodb is None:
            yield Address(_local(url, None, ca_file), username, password)
            return
        forward = _forward(namespace, release, url, ca_file)
        try:
            yield Address(_local(url, forward.port, ca_file), username, password)
        finally:
            forward.close()


def ready_pods(namespace: Namespace, release: Release) -> list[Object]:
    """Return MongoDB's pods that are ready, the first member first.

    Raises:
        DatabaseUnavailable: there is none.
    """
    pods = namespace.all("pods", release.labels("mongodb"))
    ready = [pod for pod in pods if _is_ready(pod)]
    if not ready:
        raise DatabaseUnavailable(
            f"MongoDB of the release '{release.name}' has no pod that is ready: `kubectl -n "
            f"{namespace.name} describe pods -l app.kubernetes.io/instance={release.name},"
            "app.kubernetes.io/component=mongodb` tells why."
        )
    return sorted(ready, key=lambda pod: str(pod["metadata"]["name"]))


# --- inside --------------------------------------------------------------------------------------


def _pod(release: Release) -> Object:
    if not release.groups:
        raise NotFound(
            f"The release '{release.name}' has no workers, whose pods say where the history is: "
            "was its Job removed after its end? `helm upgrade` makes it anew."
        )
    return release.groups[0].pod


def _volume(pod: Object, name: str, kind: str) -> Mapping[str, Any]:
    for volume in pod.get("volumes") or []:
        if volume["name"] == name:
            found: Mapping[str, Any] = volume.get(kind) or {}
            return found
    return {}


def _value(namespace: Namespace, entry: Object) -> str:
    reference = (entry.get("valueFrom") or {}).get("secretKeyRef")
    if reference:
        return _secret(namespace, reference["name"], reference["key"]).strip()
    return str(entry.get("value") or "")


def _without_login(url: str, username: str, password: str) -> tuple[str, str, str]:
    """Return the URL without user and password, and both; those in the URL count first."""
    from orion_k8s.storage.mongo_connection import PLACE

    found = PLACE.match(url)
    if found is None or not found[2]:
        return url, username, password
    user, colon, secret = found[2].partition(":")
    bare = url.replace(f"//{found[2]}@", "//", 1)
    return bare, unquote_plus(user), unquote_plus(secret) if colon else password


def _file(namespace: Namespace, pod: Object, volume: str, path: str) -> str:
    """Return a text that a Secret mounts; empty where there is no such volume."""
    secret = _volume(pod, volume, "secret")
    for item in secret.get("items") or []:
        if item["path"] == path:
            return _secret(namespace, secret["secretName"], item["key"]).rstrip("\r\n")
    return ""


def _secret(namespace: Namespace, name: str, key: str) -> str:
    try:
        data = namespace.get("secrets", name).get("data") or {}
    except NotFound as error:
        raise NotFound(
            f"The Secret {name}, by which workers reach the history, is missing in the namespace "
            f"{namespace.name!r}: restore it (a new one would not have MongoDB's password)."
        ) from error
    if key not in data:
        raise NotFound(
            f"The Secret {name} in the namespace {namespace.name!r} has no key {key}, only: "
            f"{', '.join(sorted(data)) or 'none'}."
        )
    try:
        return base64.b64decode(data[key]).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise UsageError(f"The key {key} of the Secret {name} holds no text.") from None


def _local(url: str, port: int | None, ca_file: str | None) -> str:
    """Return the URL as it is from here: to a local port, with a certificate file of here.

    Args:
        url: that a worker has, without a login.
        port: of this machine that leads to MongoDB; None for the URL's own hosts.
        ca_file: the authority's certificate; None without TLS.
    """
    from orion_k8s.storage.mongo_connection import PLACE

    found = PLACE.match(url)
    if found is None:  # another kind of database
        return url
    scheme, _, hosts, database, query = found.groups()
    options = [option for option in re.split("[&;]", query or "") if option]
    ours = {"tlscafile": f"tlsCAFile={ca_file}" if ca_file else None}
    if port is not None:
        # One member is behind the port, by a name that is not in its certificate. Who it is the
        # API server has seen to; the certificate itself is checked all the same.
        ours |= {"directconnection": "directConnection=true", "replicaset": None}
        if ca_file:
            ours["tlsallowinvalidhostnames"] = "tlsAllowInvalidHostnames=true"
        scheme, hosts = "mongodb", f"127.0.0.1:{port}"
    kept = [o for o in options if o.partition("=")[0].lower() not in ours]
    query = "&".join([*kept, *(option for option in ours.values() if option)])
    return f"{scheme}://{hosts}/{database or ''}{'?' if query else ''}{query}"


def _forward(namespace: Namespace, release: Release, url: str, ca_file: str | None) -> Forward:
    """Return a port that leads to MongoDB: to the primary, where several members are ready."""
    names = [str(pod["metadata"]["name"]) for pod in ready_pods(namespace, release)]
    namespace.check_forward(names[0], PORT)
    for name in names if len(names) > 1 else ():
        forward = _to_pod(namespace, release, name)
        if _is_primary(_local(url, forward.port, ca_file)):
            return forward
        forward.close()
    return _to_pod(namespace, release, names[0])


def _to_pod(namespace: Namespace, release: Release, name: str) -> Forward:
    from orion_k8s.executor.dask_kubernetes.forward import Forward, Tunnels

    api = namespace.api

    def find() -> str:
        # The pod may be gone meanwhile; its successor in a StatefulSet has the same name.
        try:
            ready = [pod["metadata"]["name"] for pod in ready_pods(namespace, release)]
        except DatabaseUnavailable as error:
            raise NotFound(str(error)) from error
        if name not in ready:
            raise NotFound(f"the pod {name} is not ready")
        return f"{api.host}{namespace.path('pods', name)}/portforward?ports={PORT}"

    return Forward(Tunnels.through(api, find))


def _is_primary(url: str) -> bool:
    import pymongo
    from pymongo.errors import PyMongoError

    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
        url, serverSelectionTimeoutMS=5_000
    )
    try:
        return bool(client.admin.command("hello").get("isWritablePrimary"))
    except PyMongoError:
        return False
    finally:
        client.close()


def _is_ready(pod: Object) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
