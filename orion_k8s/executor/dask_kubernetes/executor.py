"""The executor: Dask's, with a DaskCluster that it makes or joins."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, ClassVar

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.dask.executor import Dask
from orion_k8s.executor.dask_kubernetes import rights
from orion_k8s.executor.dask_kubernetes.arguments import (
    IDLE_S,
    START_S,
    Adapt,
    check_name,
    make_wanted,
)
from orion_k8s.executor.dask_kubernetes.cluster import KubernetesCluster
from orion_k8s.executor.dask_kubernetes.place import Joined, Made, Place, own_pod
from orion_k8s.executor.kubernetes.api import Api
from orion_k8s.executor.kubernetes.arguments import seconds
from orion_k8s.executor.workers import flag


class DaskKubernetes(Dask):
    """Runs calls in a Dask cluster that Dask's operator for Kubernetes makes.

    Each executor makes a cluster of its own and deletes it at the end; with `cluster` it joins one
    that is there, and leaves it as it is.

    Args:
        n_workers: Dask workers (pods) at the start, one by default; each runs one call, where
            `worker_command` says nothing else. Of a joined cluster: the most calls that run at
            once; None for as many as there is room for.
        cluster: name of a DaskCluster to join.
        name: of the cluster that is made; None for a name that nobody else has.
        namespace: where the cluster is; None for that of the kubeconfig's context or of the pod.
        image: of the Dask pods, with orion-k8s and what the calls import; None for the image of
            the pod in which this worker runs.
        adapt: {"minimum": 0, "maximum": 10}: the operator adds and removes Dask workers.
        resources: of each Dask pod, such as {"cpu": 2, "memory": "4Gi", "nvidia.com/gpu": 1}, or
            {"requests": …, "limits": …}.
        env: variables of the Dask pods; a mapping, or a list as Kubernetes has it.
        worker_command: program of a Dask worker, as a text or a list of words.
        custom_cluster_spec: a whole DaskCluster instead, as a mapping or the path of a YAML file.
        idle_timeout: seconds after which the operator deletes a cluster that nobody uses, because
            its worker was killed; 0 for never.
        start_timeout: seconds that the scheduler's start may take.
        port_forward: whether to reach the scheduler through the API server; None for: if this
            worker is outside of the cluster.
        kubeconfig: path of a file; None for the usual places, and the service account in a pod.
        context: of the kubeconfig; None for its current one.
        priority: of the calls in the cluster; higher ones come first.
        shared_files: whether the Dask pods see the folder of the trials at the same path.

    Raises:
        MissingExtra: a package is not installed.
        ConfigurationError: an argument can't be used, the operator is missing, or the scheduler
            does not start.
        AccessRefused: a right is missing.
        ExecutorUnavailable: the API server or the scheduler does not answer.
    """

    name: ClassVar[str] = "dask-kubernetes"

    def __init__(
        self,
        n_workers: int | None = None,
        cluster: str | None = None,
        name: str | None = None,
        namespace: str | None = None,
        image: str | None = None,
        adapt: Mapping[str, int] | None = None,
        resources: Mapping[str, Any] | None = None,
        env: Mapping[str, Any] | list[Any] | None = None,
        worker_command: str | list[str] | None = None,
        custom_cluster_spec: str | Mapping[str, Any] | None = None,
        idle_timeout: float = IDLE_S,
        start_timeout: float = START_S,
        port_forward: bool | None = None,
        kubeconfig: str | None = None,
        context: str | None = None,
        priority: int = 0,
        shared_files: bool = False,
    ) -> None:
        self.shared_files = flag("shared_files", shared_files)
        made: dict[str, Any] = {
            "name": name,
            "image": image,
            "adapt": adapt,
            "env": env,
            "resources": resources,
            "worker_command": worker_command,
            "custom_cluster_spec": custom_cluster_spec,
        }
        if cluster is not None:
            check_name("cluster", cluster)
            for argument, value in made.items():
                if value is not None:
                    raise ConfigurationError(
                        f"cluster joins a DaskCluster that is there, and {argument} is for one "
                        "that is made: leave one of them out."
                    )
        wanted = make_wanted(
            n_workers if cluster is None else None, idle_timeout=idle_timeout, **made
        )
        start_s = seconds("start_timeout", start_timeout)
        api = Api(kubeconfig, context)
        try:
            inside = _inside(api)
            own = own_pod(api, os.environ) if inside else None
            in_spec = (wanted.custom or {}).get("metadata", {}).get("namespace")
            namespace = namespace or in_spec or api.namespace
            forward = not inside if port_forward is None else port_forward
            needed = rights.JOIN if cluster else rights.MAKE
            needed += (rights.ADAPT if wanted.adapt else ()) + rights.LOOK
            needed += rights.FORWARD if forward else ()
            rights.check_rights(api, namespace, needed)
        except BaseException:
            api.close()
            raise
        common = (api, namespace, forward, start_s)
        place: Place = Joined(*common, cluster) if cluster else Made(*common, wanted, own)
        self._adapt: Adapt | None = wanted.adapt
        pods = 0 if cluster else wanted.pods
        self._kubernetes = KubernetesCluster(place, pods, may_be_empty=wanted.adapt is not None)
        limit = n_workers if cluster else None
        self._begin(self._kubernetes, limit=limit, priority=priority)

    def slots(self) -> int:
        """Return how many calls can run at once now: none while the scheduler is away.

        Calls may wait for the Dask workers that a new cluster begins with. Where the operator
        scales the cluster as many calls wait as run: it adds Dask workers for those that wait, and
        only for those.
        """
        room = super().slots()
        if room == 0:
            return 0
        room = max(room, self._kubernetes.coming)
        if self._adapt is None:
            return room
        most = math.ceil(self._adapt.maximum * self._kubernetes.threads_per_worker)
        return max(room, min(2 * room, most))

    def _give_up(self) -> None:
        self._kubernetes.give_up()


def _inside(api: Api) -> bool:
    """Whether this process runs in a pod of that cluster."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    return bool(host) and str(host) in api.host
