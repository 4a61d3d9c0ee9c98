"""The DaskCluster object: from dask-kubernetes' own builder, or from the person's own spec."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dask
from dask_kubernetes.operator import make_cluster_spec

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.dask_kubernetes.arguments import API_VERSION, Adapt, Wanted

Object = dict[str, Any]

NAME_LABEL, PART_LABEL = "dask.org/cluster-name", "dask.org/component"

SCHEDULER, WORKER = ("dask", "scheduler"), ("dask", "worker", "--nthreads", "1")
"""The programs of distributed. A Dask worker runs one call: a trial has its pod for itself."""

NODE_LOST_S = 30
"""So long may a node not answer before its pods are given up; Kubernetes' own default is 300."""

MAKER = "orion-k8s/made-by"

HTTP_ROUTES = "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES"
_HTTP_API = "distributed.http.scheduler.api"


@dataclass(frozen=True)
class OwnPod:
    """The pod in which this worker runs.

    Attributes:
        uid: empty, where it isn't known.
        image: of the worker's container.
        container, pod: what else the Dask pods need to be let in here and to run that image.
    """

    name: str
    namespace: str
    uid: str = ""
    image: str | None = None
    container: Object = field(default_factory=dict)
    pod: Object = field(default_factory=dict)

    @classmethod
    def read(cls, found: Object) -> OwnPod:
        """Return what the API server says of a pod."""
        spec = found["spec"]
        worker = spec["containers"][0]
        kept = ("imagePullPolicy", "securityContext")
        return cls(
            name=found["metadata"]["name"],
            namespace=found["metadata"]["namespace"],
            uid=found["metadata"]["uid"],
            image=worker["image"],
            container={name: worker[name] for name in kept if worker.get(name)},
            pod={n: spec[n] for n in ("imagePullSecrets", "securityContext") if spec.get(n)},
        )

    @property
    def reference(self) -> Object:
        """An owner reference: what the pod owns is deleted with it."""
        return {"apiVersion": "v1", "kind": "Pod", "name": self.name, "uid": self.uid}


def cluster_object(
    wanted: Wanted, name: str, namespace: str, maker: str, own: OwnPod | None = None
) -> Object:
    """Return the DaskCluster.

    Args:
        wanted: what the person asks for.
        name: of the cluster.
        namespace: where it is made.
        maker: who makes it, for people who find it.
        own: the pod of this worker, if it runs in one.

    Raises:
        ConfigurationError: no image is known.
    """
    made = copy.deepcopy(wanted.custom) if wanted.custom else _generated(wanted, name, own)
    metadata, spec = made["metadata"], made["spec"]
    metadata |= {"name": name, "namespace": namespace}
    metadata["labels"] = {
        "app.kubernetes.io/managed-by": "orion-k8s",
        **(metadata.get("labels") or {}),
    }
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        MAKER: maker,
    }
    # A pod of another namespace can't own anything here: the garbage collector takes such an owner
    # for gone, and deletes the cluster.
    if own is not None and own.uid and own.namespace == namespace:
        metadata["ownerReferences"] = [*(metadata.get("ownerReferences") or []), own.reference]
    # Dask's own builder writes 0 into each spec, whether anybody meant it or not: whoever does
    # says so by the argument.
    if wanted.custom is None or not spec.get("idleTimeout"):
        spec["idleTimeout"] = math.ceil(wanted.idle_s)
    spec["worker"]["replicas"] = wanted.pods
    selector = spec["scheduler"]["service"].setdefault("selector", {PART_LABEL: "scheduler"})
    selector[NAME_LABEL] = name
    _serve_http(spec["scheduler"]["spec"]["containers"][0])
    return made


def autoscaler_object(adapt: Adapt, cluster: Object) -> Object:
    """Return the DaskAutoscaler of a DaskCluster that exists."""
    metadata = cluster["metadata"]
    owner = {
        "apiVersion": API_VERSION,
        "kind": cluster["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "DaskAutoscaler",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": dict(metadata["labels"]),
            # The operator adopts it, too, but later.
            "ownerReferences": [owner],
        },
        "spec": {
            "cluster": metadata["name"],
            "minimum": adapt.minimum,
            "maximum": adapt.maximum,
        },
    }


def maker_of(cluster: Object) -> str | None:
    """Return who made a cluster, if that was one of us."""
    found: str | None = (cluster["metadata"].get("annotations") or {}).get(MAKER)
    return found


def idle_s_of(cluster: Object) -> float:
    """Return after how many idle seconds the operator deletes a cluster; 0 for never."""
    try:
        return float(cluster["spec"].get("idleTimeout") or 0)
    except (TypeError, ValueError):
        return 0.0


def _generated(wanted: Wanted, name: str, own: OwnPod | None) -> Object:
    image = wanted.image or (own and own.image)
    if not image:
        raise ConfigurationError(
            "The executor dask-kubernetes needs an image with orion-k8s and your packages for the "
            "Dask pods: name it with image in executor_configuration (in a pod, the pod's own is "
            "the default)."
        )
    made: Object = make_cluster_spec(
        name=name,
        image=image,
        n_workers=wanted.pods,
        env=[dict(item) for item in wanted.env],
        resources=copy.deepcopy(wanted.resources),
        worker_command=list(wanted.worker_command or WORKER),
    )
    scheduler, worker = made["spec"]["scheduler"]["spec"], made["spec"]["worker"]["spec"]
    # The builder's "dask-scheduler" is no program of distributed any more (2026). And it leaves
    # the entry point to the image, which has one of its own (orion-k8s).
    container = scheduler["containers"][0]
    container["command"] = list(SCHEDULER)
    container["args"] = container["args"][1:]
    container = worker["containers"][0]
    count = len(wanted.worker_command or WORKER)
    container["command"], container["args"] = container["args"][:count], container["args"][count:]
    for pod in (scheduler, worker):
        _fill_pod(pod, own, same_image=not wanted.image)
    return made


def _serve_http(container: Object) -> None:
    """Let a scheduler answer the operator by HTTP.

    Else the operator takes Dask's own protocol, and so needs the same version of Dask as here.
    """
    env = container["env"] = container.get("env") or []
    if not any(item["name"] == HTTP_ROUTES for item in env):
        routes = [*dask.config.get("distributed.scheduler.http.routes"), _HTTP_API]
        env.append({"name": HTTP_ROUTES, "value": json.dumps(list(dict.fromkeys(routes)))})


def _fill_pod(pod: Object, own: OwnPod | None, same_image: bool) -> None:
    container = pod["containers"][0]
    # Why a container ended is told in its status then, which may be read without its log.
    container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    pod["automountServiceAccountToken"] = False
    pod["enableServiceLinks"] = False
    pod["tolerations"] = [
        {
            "key": f"node.kubernetes.io/{what}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": NODE_LOST_S,
        }
        for what in ("unreachable", "not-ready")
    ]
    if own is None:
        return
    pod |= copy.deepcopy(own.pod)
    container |= copy.deepcopy(own.container)
    if not same_image:
        container.pop("imagePullPolicy", None)
    security: Mapping[str, Any] = container.get("securityContext") or {}
    if security.get("readOnlyRootFilesystem"):
        pod["volumes"] = [{"name": "tmp", "emptyDir": {}}]
        container["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
        container["env"] = [
            *container["env"],
            {"name": "DASK_TEMPORARY_DIRECTORY", "value": "/tmp"},
        ]
