"""The DaskCluster of an executor, made here or joined, and the way to its scheduler."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from orion_k8s.errors import ConfigurationError, UsageError
from orion_k8s.executor.dask_kubernetes.arguments import Wanted, new_name
from orion_k8s.executor.dask_kubernetes.forward import Forward, Tunnels
from orion_k8s.executor.dask_kubernetes.resources import Patience, Resources
from orion_k8s.executor.dask_kubernetes.scheduler import await_scheduler, is_ready, why_not
from orion_k8s.executor.dask_kubernetes.spec import (
    OwnPod,
    autoscaler_object,
    cluster_object,
    idle_s_of,
)
from orion_k8s.executor.kubernetes.api import Api, Away, Refused

Object = dict[str, Any]

log = logging.getLogger(__name__)

PORT = 8786

AWAY_S = 10.0
"""How long an API server that is away is waited for at the end."""


class Place(ABC):
    """A DaskCluster, and the way to its scheduler.

    Args:
        api: the cluster's API server; it is closed here.
        namespace: where the DaskCluster is.
        forward: whether the scheduler is reached through the API server.
        start_s: how long its start may take.
    """

    def __init__(self, api: Api, namespace: str, forward: bool, start_s: float) -> None:
        self.resources = Resources(api, namespace)
        self.idle_s = 0.0
        self._api, self._start_s = api, start_s
        self._through = forward
        self._forward: Forward | None = None
        self._stop = threading.Event()

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the DaskCluster now."""

    def address(self) -> str:
        """Return the address of a scheduler that is ready, waiting for it.

        Raises:
            ConfigurationError: there is none, for the reason that is said.
        """
        self._ensure()
        await_scheduler(self.resources, self.name, Patience(self._start_s, self._stop))
        if not self._through:
            return f"tcp://{self.name}-scheduler.{self.resources.namespace}.svc:{PORT}"
        if self._forward is None or not self._forward.alive:
            self._forward = Forward(self._tunnels())
        return f"tcp://127.0.0.1:{self._forward.port}"

    def why_no_worker(self) -> str | None:
        """Return why there is no Dask worker; None for nothing in particular."""
        try:
            pods = self.resources.pods(self.name, "worker")
        except UsageError:
            return None
        hold = why_not(self.resources, self.name, "worker", pods)
        return None if hold is None else hold.text

    def give_up(self) -> None:
        """Let an `address` that waits end soon."""
        self._stop.set()

    def close(self) -> None:
        """Leave the cluster. Twice is content."""
        self._stop.set()
        if self._forward is not None:
            self._forward.close()
        self._api.close()

    @abstractmethod
    def _ensure(self) -> None:
        """Accept that there is a cluster, or make one."""

    def _tunnels(self) -> Tunnels:
        namespace = self.resources.namespace

        def find() -> str:
            pods = [p for p in self.resources.pods(self.name, "scheduler") if is_ready(p)]
            if not pods:
                raise ConfigurationError(f"the DaskCluster {self.name!r} has no scheduler now")
            pod = max(pods, key=lambda p: str(p["metadata"]["creationTimestamp"]))
            path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
            return f"{self._api.host}{path}/portforward?ports={PORT}"

        return Tunnels.through(self._api, find)


class Joined(Place):
    """A DaskCluster that somebody else made, and that is left as it is."""

    def __init__(self, api: Api, namespace: str, forward: bool, start_s: float, name: str) -> None:
        super().__init__(api, namespace, forward, start_s)
        self._name = name

    @property
    def name(self) -> str:
        """The name of the DaskCluster."""
        return self._name

    def _ensure(self) -> None:
        self.resources.need(self._name)


class Made(Place):
    """A DaskCluster of this executor's own, which is deleted at the end.

    It is made by `address`, and made anew there if somebody deleted it.

    Args:
        api, namespace, forward, start_s: see `Place`.
        wanted: what is made.
        own: the pod of this worker, if it runs in one.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        forward: bool,
        start_s: float,
        wanted: Wanted,
        own: OwnPod | None,
    ) -> None:
        super().__init__(api, namespace, forward, start_s)
        self._wanted, self._own = wanted, own
        self._name = wanted.name or new_name()
        self._uid: str | None = None
        self._asked = False

    @property
    def name(self) -> str:
        """The name of the DaskCluster; another one after it was made anew."""
        return self._name

    def close(self) -> None:
        """Delete the cluster."""
        asked, self._asked = self._asked, False
        try:
            if asked:
                self.resources.delete(self._name, self._uid, AWAY_S)
        except (Away, Refused) as error:
            log.warning(
                "the DaskCluster %s in the namespace %s could not be deleted (%s): %s",
                *(self._name, self.resources.namespace, error),
                f"the Dask operator does so when it was idle for {self.idle_s:.0f} s"
                if self.idle_s
                else f"take kubectl delete daskcluster {self._name}",
            )
        finally:
            super().close()

    def _ensure(self) -> None:
        if self._uid is not None:
            found = self.resources.find(self._name)
            if found is not None and found["metadata"]["uid"] == self._uid:
                return
            log.warning(
                "the DaskCluster %s is no more (somebody deleted it): a new one is made",
                self._name,
            )
            if self._wanted.name is None:  # the old one may still be on its way out
                self._name = new_name()
            self._uid, self._asked = None, False
        maker = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
        made = cluster_object(self._wanted, self._name, self.resources.namespace, maker, self._own)
        # Before it is made: whatever interrupts us here, it is deleted.
        self._asked = self._wanted.name is None
        found = self.resources.create(made, Patience(self._start_s, self._stop))
        self._asked, self._uid = True, found["metadata"]["uid"]
        self.idle_s = idle_s_of(found)
        if self._wanted.adapt is not None:
            self.resources.adapt(autoscaler_object(self._wanted.adapt, found))
        log.info(
            "made the DaskCluster %s in the namespace %s", self._name, self.resources.namespace
        )


def own_pod(api: Api, environment: Mapping[str, str]) -> OwnPod | None:
    """Return the pod in which this process runs; None if it runs in none.

    By the downward API (POD_NAME, POD_NAMESPACE, POD_UID), else by the host's name. What the API
    server does not tell us is left out.
    """
    if "KUBERNETES_SERVICE_HOST" not in environment:
        return None
    name = environment.get("POD_NAME") or socket.gethostname()
    namespace = environment.get("POD_NAMESPACE") or api.namespace
    found = Resources(api, namespace).own_pod(name)
    if found is not None:
        return OwnPod.read(found)
    uid = environment.get("POD_UID", "")
    return OwnPod(name, namespace, uid) if uid else None
