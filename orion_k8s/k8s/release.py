"""A release of the chart, found in the cluster by its labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orion_k8s.errors import AccessRefused, NotFound, UsageError
from orion_k8s.executor.kubernetes.api import Object
from orion_k8s.k8s.cluster import Namespace

LABEL = "app.kubernetes.io/"
OURS = {f"{LABEL}part-of": "orion-k8s"}


@dataclass(frozen=True)
class Group:
    """A group of identical workers.

    Attributes:
        name: "worker", or what `workerGroups` calls it.
        resource: "deployments" or "jobs".
        object: as the API server has it.
    """

    name: str
    resource: str
    object: Object

    @property
    def component(self) -> str:
        """Return the label of its pods."""
        return "worker" if self.name == "worker" else f"worker-{self.name}"

    @property
    def object_name(self) -> str:
        """Return the name of its Deployment or Job."""
        return str(self.object["metadata"]["name"])

    @property
    def wanted(self) -> int:
        """Return how many workers are asked for."""
        field = "replicas" if self.resource == "deployments" else "parallelism"
        found = self.object["spec"].get(field)
        return 1 if found is None else int(found)

    @property
    def ready(self) -> int:
        """Return how many are ready."""
        field = "readyReplicas" if self.resource == "deployments" else "ready"
        return int((self.object.get("status") or {}).get(field) or 0)

    @property
    def ended(self) -> str:
        """Return how a Job ended, "Complete" or "Failed"; empty while it goes on."""
        for condition in (self.object.get("status") or {}).get("conditions") or []:
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                return str(condition["type"])
        return ""

    @property
    def pod(self) -> Object:
        """Return the spec of its pods."""
        found: Object = self.object["spec"]["template"]["spec"]
        return found


@dataclass(frozen=True)
class Release:
    """A release.

    Attributes:
        name: as `helm install` was told.
        groups: of workers, "worker" first.
        mongodb: its StatefulSet; None where the database is elsewhere.
    """

    name: str
    groups: tuple[Group, ...]
    mongodb: Object | None

    def labels(self, component: str) -> dict[str, str]:
        """Return what selects the pods of a component."""
        return {**OURS, f"{LABEL}instance": self.name, f"{LABEL}component": component}

    def group(self, name: str | None) -> Group:
        """Return a group; without a name the first, if it is the only one or the chart's own.

        Raises:
            NotFound: there is none of that name.
            UsageError: there are several, and none is named.
        """
        names = ", ".join(group.name for group in self.groups)
        if name is None:
            if len(self.groups) > 1 and self.groups[0].name != "worker":
                raise UsageError(
                    f"The release '{self.name}' has several groups of workers ({names}): name one "
                    "with --group."
                )
            name = self.groups[0].name if self.groups else "worker"
        for group in self.groups:
            if group.name == name:
                return group
        raise NotFound(
            f"The release '{self.name}' has no group of workers '{name}', only: {names or 'none'}."
        )


def find_release(namespace: Namespace, name: str | None = None) -> Release:
    """Return the release of that name, or the only one.

    Raises:
        NotFound: there is none; says where there are some.
        UsageError: there are several, and none is named.
        AccessRefused: this account may not look.
    """
    found = {
        resource: namespace.all(resource, OURS)
        for resource in ("deployments", "statefulsets", "jobs")
    }
    names = sorted({_label(o, "instance") for objects in found.values() for o in objects})
    if name is None:
        if not names:
            raise NotFound(
                f"There is no release of orion-k8s in the namespace {namespace.name!r}"
                f"{_elsewhere(namespace)}"
            )
        if len(names) > 1:
            raise UsageError(
                f"The namespace {namespace.name!r} has several releases ({', '.join(names)}): "
                "name one with -r."
            )
        [name] = names
    if name not in names:
        others = f", only: {', '.join(names)}." if names else _elsewhere(namespace)
        raise NotFound(
            f"There is no release '{name}' of orion-k8s in the namespace {namespace.name!r}"
            f"{others}"
        )
    mine = {
        resource: [o for o in objects if _label(o, "instance") == name]
        for resource, objects in found.items()
    }
    groups = [*_groups("deployments", mine["deployments"]), *_groups("jobs", mine["jobs"])]
    mongodb = [o for o in mine["statefulsets"] if _label(o, "component") == "mongodb"]
    return Release(
        name,
        tuple(sorted(groups, key=lambda group: (group.name != "worker", group.name))),
        mongodb[0] if mongodb else None,
    )


def _groups(resource: str, objects: Iterable[Object]) -> Iterable[Group]:
    for found in objects:
        component = _label(found, "component")
        if component == "worker" or component.startswith("worker-"):
            yield Group(component.removeprefix("worker-"), resource, found)


def _elsewhere(namespace: Namespace) -> str:
    """Return the end of a sentence: where there are releases, as far as one may look."""
    try:
        found = namespace.everywhere("deployments", OURS) + namespace.everywhere("jobs", OURS)
    except AccessRefused:
        return ", and you may look in no other: name yours with --namespace or --context."
    places = sorted({str(o["metadata"]["namespace"]) for o in found} - {namespace.name})
    if not places:
        return " nor in any other of this cluster: `orion-k8s k8s install` makes one."
    return f", but in: {', '.join(places)} (name one with --namespace)."


def _label(found: Object, name: str) -> str:
    return str((found["metadata"].get("labels") or {}).get(LABEL + name, ""))
