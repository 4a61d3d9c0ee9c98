"""Waiting for a cluster's scheduler, and why it does not come."""

from __future__ import annotations

import time
from typing import Any

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.dask_kubernetes.resources import Patience, Resources, Stopped
from orion_k8s.executor.kubernetes.starting import Hold, brief, hold_of

Object = dict[str, Any]

OPERATOR_S = 30.0
"""How long the operator may take to notice a new cluster."""

FAULT_S = 20.0
"""How long a fault that waiting hardly mends may stand: a registry may be away for a moment."""


def await_scheduler(resources: Resources, name: str, patience: Patience) -> Object:
    """Return the pod of a cluster's scheduler when it is ready.

    The phase in the cluster's own status is of no use: the operator writes Running as soon as
    there is a Service, before there is a pod.

    Raises:
        ConfigurationError: it does not come, for the reason that is said.
    """
    began = time.monotonic()
    fault: tuple[str, float] | None = None
    while True:
        pods = resources.pods(name, "scheduler")
        pod = next(filter(is_ready, pods), None)
        if pod is not None:
            return pod
        now = time.monotonic()
        hold = why_not(resources, name, "scheduler", pods)
        if hold is None or hold.crowded:
            fault = None
        elif fault is None or fault[0] != hold.text[:40]:
            fault = hold.text[:40], now  # what follows may count tries
        if hold is not None and fault is not None:
            if hold.final or now - fault[1] >= FAULT_S:
                raise ConfigurationError(_sentence(resources, name, hold.text))
        if not pods and hold is None and now - began >= OPERATOR_S:
            _check_operator(resources, name)
        if patience.over():
            raise ConfigurationError(
                _sentence(resources, name, hold.text if hold else _state(pods))
            )
        if patience.rest():
            raise Stopped()


def why_not(resources: Resources, name: str, part: str, pods: list[Object]) -> Hold | None:
    """Return what holds back a part of a cluster that has no pod which is ready.

    Args:
        resources: of the cluster's namespace.
        name: of the cluster.
        part: "scheduler" or "worker".
        pods: of this part.
    """
    for pod in pods:
        hold = hold_of(pod)
        if hold is not None:
            last = _last_words(pod)
            return Hold(f"{hold.text}; it said: {last}") if last else hold
    if pods:
        return None
    refused = resources.refused_pods(name, part)
    if refused is None:
        return None
    return Hold(f"its pod is refused: {brief(refused)}", crowded="exceeded quota" in refused)


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _last_words(pod: Object) -> str:
    """Return what a container that ended said at its end."""
    for container in pod.get("status", {}).get("containerStatuses") or ():
        ended = (container.get("lastState") or {}).get("terminated") or {}
        words = str(ended.get("message") or "").strip().splitlines()
        if words:
            return brief(words[-1])
    return ""


def _check_operator(resources: Resources, name: str) -> None:
    """Accept a cluster that the operator has noticed, or that somebody deleted meanwhile."""
    found = resources.find(name)
    if found is None:
        raise ConfigurationError(
            f"The DaskCluster {name!r} was deleted while its scheduler was waited for: start anew."
        )
    if not (found.get("status") or {}).get("phase"):
        raise ConfigurationError(
            f"The Dask operator does not notice the DaskCluster {name!r} in the namespace "
            f"{resources.namespace!r}: see whether it runs and watches this namespace (kubectl "
            "get pods -A -l app.kubernetes.io/name=dask-kubernetes-operator)."
        )


def _state(pods: list[Object]) -> str:
    phases = [str(pod.get("status", {}).get("phase", "Unknown")) for pod in pods]
    return f"its pod is {phases[0]}, and not ready" if phases else "it has no pod"


def _sentence(resources: Resources, name: str, why: str) -> str:
    return (
        f"The scheduler of the DaskCluster {name!r} in the namespace {resources.namespace!r} does "
        f"not start: {why.rstrip('.')}. Mend that, or give it longer with start_timeout."
    )
