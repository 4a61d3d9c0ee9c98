"""Why pods of a release are not ready, in sentences for who looks at its status."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

from orion_k8s.executor.kubernetes.api import Object
from orion_k8s.executor.kubernetes.ending import UNSTARTED
from orion_k8s.executor.kubernetes.starting import brief, hold_of, hold_of_events

Events = Callable[[Object], list[Object]]
"""Return the events about an object; none where one may not look."""


def troubles(owner: Object, wanted: int, pods: list[Object], events: Events) -> Iterator[str]:
    """Yield what keeps the pods of a Deployment, Job or StatefulSet from being ready.

    Args:
        owner: the object that makes the pods.
        wanted: how many it should have.
        pods: those that there are.
        events: to ask for more where the objects themselves do not tell.
    """
    ended = ("Succeeded", "Failed")
    alive = [pod for pod in pods if pod.get("status", {}).get("phase") not in ended]
    if len(alive) < wanted:
        refusal = _refusal(owner)
        if not refusal and (hold := hold_of_events(events(owner))) is not None:
            refusal = hold.text
        if refusal:
            yield f"no more pods can be made: {refusal}"
    why = Counter(_of_pod(pod, events) for pod in alive)
    why += Counter(filter(None, (_end(pod) for pod in pods if pod not in alive)))
    for text, count in why.most_common():
        if text:
            yield text if count == 1 else f"{count} pods: {text}"


def _refusal(owner: Object) -> str:
    """Return why the API server takes no more pods, as a Deployment's conditions tell it."""
    for condition in (owner.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return brief(condition.get("message"))
    return ""


def _of_pod(pod: Object, events: Events) -> str:
    """Return why a pod is not ready; "" where it is, or where nothing is amiss yet."""
    status = pod.get("status", {})
    conditions = {one.get("type"): one for one in status.get("conditions") or ()}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    if end := _end(pod):
        return end
    if (hold := hold_of(pod)) is not None:
        return hold.text
    statuses = status.get("containerStatuses") or ()
    if statuses and all("running" in (one.get("state") or {}) for one in statuses):
        name = pod["metadata"]["name"]
        return f"{name} runs and is not ready yet: `kubectl logs {name}` tells more"
    # A volume that can't be mounted is told by events alone.
    hold = hold_of_events(events(pod))
    return hold.text if hold is not None else ""


def _end(pod: Object) -> str:
    """Return how a container of the pod ended last, if it failed."""
    status = pod.get("status", {})
    for kind in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(kind) or ():
            for state in (one.get("state"), one.get("lastState")):
                done = (state or {}).get("terminated")
                if done and done.get("exitCode") != 0:
                    said = _last_sentence(str(done.get("message") or ""))
                    reason = str(done.get("reason") or "Error")
                    if reason in UNSTARTED:
                        return f"its container {one['name']!r} does not start: {said}"
                    what = f"exit code {done['exitCode']}"
                    what += f" ({reason})" if reason != "Error" else ""
                    return f"{one['name']} ended with {what}" + (f": {said}" if said else "")
    return ""


def _last_sentence(message: str) -> str:
    """Return the last line of a log, or what it says where it is JSON."""
    lines = _lines(message)
    if not lines:
        return ""
    try:
        found = json.loads(lines[-1])
        return brief(found["message"])
    except (ValueError, KeyError, TypeError):
        return brief(lines[-1])


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
