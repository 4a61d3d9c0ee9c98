"""DaskClusters and what belongs to them, at the API server; each refusal is one clear sentence."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orion_k8s.errors import AccessRefused, ConfigurationError, ExecutorUnavailable
from orion_k8s.executor.dask_kubernetes.spec import NAME_LABEL, PART_LABEL, maker_of
from orion_k8s.executor.kubernetes.api import Api, Away, Refused
from orion_k8s.executor.nearest import nearest

Object = dict[str, Any]

DASK = "kubernetes.dask.org"
CLUSTERS, AUTOSCALERS = "daskclusters", "daskautoscalers"

INSTALL = "https://kubernetes.dask.org/en/latest/installing.html"

_POLL_S = 0.5


class Resources:
    """The objects of one namespace.

    Args:
        api: the API server.
        namespace: where the cluster is, or is to be.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    # --- DaskClusters ----------------------------------------------------------------------------

    def create(self, made: Object, patience: Patience) -> Object:
        """Make a DaskCluster and return it. An older one of its name that ends is waited for.

        Raises:
            ConfigurationError: there is one of this name, or it is refused.
        """
        name = made["metadata"]["name"]
        while True:
            try:
                with self._asking("create", CLUSTERS, DASK):
                    return self.api.post(self._path(CLUSTERS, DASK), ("create", CLUSTERS), made)
            except _Exists as error:
                found = self.find(name)
                if found is not None and maker_of(found) == maker_of(made):
                    return found  # the first try came through, its answer did not
                if found is not None or patience.over():
                    raise ConfigurationError(
                        f"There is a DaskCluster {name!r} in the namespace {self.namespace!r} "
                        f"already: join it with cluster: {name}, or leave the name out, so that "
                        "each worker makes one of its own."
                    ) from error
            if patience.rest():
                raise Stopped()

    def adapt(self, autoscaler: Object) -> None:
        """Let the operator scale a cluster.

        Raises:
            ConfigurationError: it is refused.
        """
        try:
            with self._asking("create", AUTOSCALERS, DASK):
                self.api.post(self._path(AUTOSCALERS, DASK), ("create", AUTOSCALERS), autoscaler)
        except _Exists:  # the first try came through, its answer did not
            return

    def find(self, name: str) -> Object | None:
        """Return a DaskCluster; None if there is none, or only one that is being deleted.

        Raises:
            ConfigurationError: it is refused.
        """
        try:
            with self._asking("get", CLUSTERS, DASK):
                found = self.api.get(f"{self._path(CLUSTERS, DASK)}/{name}", ("get", CLUSTERS))
        except _Missing:
            return None
        return None if found["metadata"].get("deletionTimestamp") else found

    def need(self, name: str) -> Object:
        """Return a DaskCluster.

        Raises:
            ConfigurationError: there is none, or it is refused.
        """
        found = self.find(name)
        if found is not None:
            return found
        sentence = f"There is no DaskCluster {name!r} in the namespace {self.namespace!r}"
        try:
            with self._asking("list", CLUSTERS, DASK):
                listed = self.api.get(self._path(CLUSTERS, DASK), ("list", CLUSTERS))["items"]
        except AccessRefused as error:
            raise ConfigurationError(f"{sentence}: correct cluster or namespace.") from error
        names = sorted(item["metadata"]["name"] for item in listed)
        there = f"There are: {', '.join(names)}." if names else "There is none at all."
        raise ConfigurationError(f"{sentence}{nearest(name, names)} {there}")

    def delete(self, name: str, uid: str | None, wait_s: float) -> None:
        """Delete a DaskCluster. One that is gone is fine.

        Its pods go first (foreground), and without the operator: a DaskCluster carries a finalizer
        of the operator's, so where that is away the object stays, but its pods don't.

        Args:
            name: of the cluster.
            uid: of the cluster that is meant; None for whichever has the name.
            wait_s: how long to wait for an API server that is away.

        Raises:
            Refused, Away: it may not be deleted; the API server does not answer.
        """
        options: Object = {"propagationPolicy": "Foreground"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        deadline = time.monotonic() + wait_s
        while True:
            try:
                self.api.delete(
                    f"{self._path(CLUSTERS, DASK)}/{name}", ("delete", CLUSTERS), options
                )
                return
            except Refused as error:
                if error.status == 409:  # another one has its name by now
                    return
                raise
            except Away:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_POLL_S)

    # --- what the operator made of it ------------------------------------------------------------

    def pods(self, name: str, part: str) -> list[Object]:
        """Return the pods of a cluster's part, "scheduler" or "worker", without those that end.

        Raises:
            ConfigurationError: it is refused.
        """
        selector = f"{NAME_LABEL}={name},{PART_LABEL}={part}"
        with self._asking("list", "pods"):
            found = self.api.get(self._path("pods"), ("list", "pods"), labelSelector=selector)[
                "items"
            ]
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def refused_pods(self, name: str, part: str) -> str | None:
        """Return why the API server lets no pod of a part be made (quota, Pod Security, …).

        None for no such reason, or where we may not look.
        """
        selector = f"{NAME_LABEL}={name},{PART_LABEL}={part}"
        try:
            found = self.api.get(
                self._path("deployments", "apps"), ("list", "deployments"), labelSelector=selector
            )["items"]
        except (Refused, Away):
            return None
        for deployment in found:
            for condition in deployment.get("status", {}).get("conditions") or ():
                if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
                    return str(condition.get("message") or condition.get("reason"))
        return None

    def own_pod(self, name: str) -> Object | None:
        """Return a pod; None where there is none or we may not look."""
        try:
            return self.api.get(f"{self._path('pods')}/{name}", ("get", "pods"))
        except (Refused, Away):
            return None

    # --- inside ----------------------------------------------------------------------------------

    def _path(self, plural: str, group: str = "") -> str:
        version = {"": "/api/v1", DASK: f"/apis/{DASK}/v1", "apps": "/apis/apps/v1"}[group]
        return f"{version}/namespaces/{self.namespace}/{plural}"

    @contextmanager
    def _asking(self, verb: str, plural: str, group: str = "") -> Iterator[None]:
        """Turn what the API server refuses into a sentence."""
        try:
            yield
        except Away as error:
            raise ExecutorUnavailable(
                f"The Kubernetes API server {self.api.host} cannot be reached ({error}): check "
                "the kubeconfig, its context and the network."
            ) from error
        except Refused as error:
            raise self._sentence(error, verb, plural, group) from error

    def _sentence(self, error: Refused, verb: str, plural: str, group: str) -> Exception:
        message = " ".join(error.message.split())
        if error.status == 403 and re.search(r"cannot \w+ resource", message):
            full = f"{plural}.{group}" if group else plural
            return AccessRefused(
                f"Kubernetes refuses to {verb} {full} in the namespace {self.namespace!r} "
                f"({message}): grant the verb {verb} on {full} there, as the Role in "
                "docs/executors.md does."
            )
        if error.status == 404 and f'namespaces "{self.namespace}"' in message:
            return ConfigurationError(
                f"There is no namespace {self.namespace!r} at {self.api.host}: create it, or "
                "correct namespace in executor_configuration."
            )
        if error.status == 404 and group == DASK and '"' not in message:
            return ConfigurationError(
                f"The Dask operator is not installed at {self.api.host} (there is no resource "
                f"{plural}.{DASK}): install it, see {INSTALL}, or have your administrator do so."
            )
        if error.status == 404:
            return _Missing(message)
        if error.status == 409:
            return _Exists(message)
        return ConfigurationError(
            f"Kubernetes refuses to {verb} {plural} in the namespace {self.namespace!r}: {message}"
        )


class Stopped(ConfigurationError):
    """The executor was closed while it waited for its Dask cluster."""


class _Missing(Exception):
    """There is no object of this name."""


class _Exists(Exception):
    """There is an object of this name."""


class Patience:
    """A time that passes, and an end that may come before.

    Args:
        seconds: how long to wait at most.
        stop: set by who wants no more of it.
    """

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self._end = time.monotonic() + seconds
        self._stop = stop

    def over(self) -> bool:
        """Whether the time has passed."""
        return time.monotonic() >= self._end

    def rest(self) -> bool:
        """Wait for a moment; return whether the end came."""
        return self._stop.wait(_POLL_S)
