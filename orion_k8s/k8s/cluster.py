"""A namespace of a cluster, as a person at a keyboard asks of it: each refusal is a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orion_k8s.errors import (
    AccessRefused,
    ConfigurationError,
    ExecutorUnavailable,
    MissingExtra,
    NotFound,
    UsageError,
)
from orion_k8s.executor.kubernetes.api import Api, Away, Object, Refused

GROUPS = {
    "configmaps": "/api/v1",
    "deployments": "/apis/apps/v1",
    "events": "/api/v1",
    "jobs": "/apis/batch/v1",
    "pods": "/api/v1",
    "secrets": "/api/v1",
    "statefulsets": "/apis/apps/v1",
}
"""Where the API server keeps a resource."""


class Namespace:
    """A namespace, and what may be asked of it.

    Args:
        name: None for the usual one of the context.
        context: of the kubeconfig; None for its current one.

    Raises:
        ConfigurationError: no cluster is known, or there is no such context.
        MissingExtra: the package kubernetes is not installed.
    """

    def __init__(self, name: str | None = None, context: str | None = None) -> None:
        try:
            self.api = Api(context=context)
        except MissingExtra as error:
            raise MissingExtra(
                "Commands of `orion-k8s k8s` that ask a cluster need the package kubernetes: "
                "pip install 'orion-k8s[k8s]'."
            ) from error
        except ConfigurationError as error:
            raise ConfigurationError(
                str(error)
                .replace("kubeconfig (or KUBECONFIG) and context", "KUBECONFIG or --context")
                .replace("kubeconfig in executor_configuration, or with ", "")
            ) from error
        self.name = name or self.api.namespace

    def __enter__(self) -> Namespace:
        """Return itself; its connections are closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.api.close()

    def all(self, resource: str, labels: Mapping[str, str]) -> list[Object]:
        """Return the objects of a resource that have the labels."""
        with self._sentences("list", resource):
            found = self.api.get(
                self.path(resource), ("list", resource), labelSelector=_selector(labels)
            )
        return list(found.get("items") or [])

    def events(self, about: Object) -> list[Object]:
        """Return the events about an object; none where this account may not look."""
        selector = f"involvedObject.uid={about['metadata'].get('uid')}"
        try:
            with self._sentences("list", "events"):
                found = self.api.get(
                    self.path("events"), ("list", "events"), fieldSelector=selector
                )
        except AccessRefused:
            return []
        return list(found.get("items") or [])

    def everywhere(self, resource: str, labels: Mapping[str, str]) -> list[Object]:
        """Return such objects of all namespaces."""
        with self._sentences("list", resource, "all namespaces"):
            found = self.api.get(
                f"{GROUPS[resource]}/{resource}",
                ("list", resource),
                labelSelector=_selector(labels),
            )
        return list(found.get("items") or [])

    def get(self, resource: str, name: str) -> Object:
        """Return an object.

        Raises:
            NotFound: it is not there.
        """
        with self._sentences("get", resource, name=name):
            return self.api.get(self.path(resource, name), ("get", resource))

    def patch(self, resource: str, name: str, part: str, change: Object) -> Object:
        """Change fields of an object, or of a part of it such as "scale"."""
        whole = f"{resource}/{part}" if part else resource
        path = self.path(resource, name) + (f"/{part}" if part else "")
        with self._sentences("patch", whole, name=name):
            return self.api.patch(path, ("patch", whole), change)

    def log(self, pod: str, container: str, **query: Any) -> Iterator[bytes]:
        """Yield the log of a container in pieces."""
        with self._sentences("get", "pods/log", name=pod):
            yield from self.api.text(
                self.path("pods", pod) + "/log", ("get", "pods/log"), container=container, **query
            )

    def check_forward(self, pod: str, port: int) -> None:
        """Raise where a port of a pod can't be forwarded, since a tunnel that fails says little.

        Raises:
            AccessRefused: this account may not.
        """
        path = self.path("pods", pod) + "/portforward"
        try:
            with self._sentences("get", "pods/portforward", name=pod):
                self.api.get(path, ("get", "pods/portforward"), ports=port)
        except (AccessRefused, ExecutorUnavailable, NotFound):
            raise
        except UsageError:
            # A request that isn't an upgrade to a tunnel is a bad one. Who may not make it at all
            # has heard that before.
            return

    def path(self, resource: str, name: str = "") -> str:
        """Return where the API server keeps a resource of this namespace, or one object."""
        path = f"{GROUPS[resource]}/namespaces/{self.name}/{resource}"
        return f"{path}/{name}" if name else path

    @contextmanager
    def _sentences(
        self, verb: str, resource: str, where: str | None = None, name: str = ""
    ) -> Iterator[None]:
        where = where or f"the namespace {self.name!r}"
        try:
            yield
        except Away as error:
            raise ExecutorUnavailable(
                f"The Kubernetes API server {self.api.host} does not serve you "
                f"({_without_period(str(error))}): correct KUBECONFIG or --context, log in again, "
                "or wait until it is there."
            ) from error
        except Refused as error:
            if error.status == 403:
                raise AccessRefused(
                    f"You may not {verb} {resource} in {where}: ask for a Role that allows it, or "
                    "name another namespace with --namespace."
                ) from error
            if error.status == 404:
                raise NotFound(
                    f"There is no {name or resource} in {where} ({resource})."
                ) from error
            raise UsageError(
                f"Kubernetes refuses to {verb} {resource} {name} in {where}: "
                f"{_without_period(error.message)}."
            ) from error


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())


def _without_period(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
